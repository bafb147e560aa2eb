from __future__ import annotations

from pathlib import Path

import pytest

from tests.video_files import write_bad_files, write_clip
from video_colbert.encoding import VideoColBERTEncoder
from video_colbert.errors import IndexStoreError
from video_colbert.index import Index, IndexingReport, index_videos


@pytest.fixture(scope="module")
def encoder(checkpoint_folder: Path) -> VideoColBERTEncoder:
    return VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_clip(tmp_path / "videos" / f"{seed}.mp4", seed) for seed in range(3)]


@pytest.fixture
def index(tmp_path: Path, encoder: VideoColBERTEncoder) -> Index:
    return Index.create(tmp_path / "index", model=encoder.reference, num_frames=encoder.num_frames)


def test_report_says_what_was_done_with_each_file(
    tmp_path: Path, index: Index, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    bad = write_bad_files(tmp_path / "bad")
    missing = tmp_path / "missing.mp4"
    report = index_videos(index, encoder, [missing, bad["text"], *files, bad["empty"]], batch_size=2)
    assert report.added == [str(path) for path in files]
    assert [video.source for video in report.bad] == [str(missing), str(bad["text"]), str(bad["empty"])]
    assert report.bad[0].reason == "there is no such file"
    assert index_videos(index, encoder, files) == IndexingReport(present=[str(path) for path in files])


def test_stored_tokens_are_those_of_the_encoder(index: Index, encoder: VideoColBERTEncoder, files: list[Path]) -> None:
    index_videos(index, encoder, files)
    queries = encoder.encode_queries(["a red circle grows", "a blue square"])
    inputs = encoder.processor(text=queries.texts, videos=files)
    expected = encoder.model(**inputs).scores
    for row, hits in enumerate(Index.open(index.location).search(queries)):
        scores = {Path(hit.video): hit.score for hit in hits}
        # Stored as float16, which keeps about three decimals of a cosine.
        assert [scores[path] for path in files] == pytest.approx(expected[row].tolist(), abs=2e-3)


def test_changed_file_is_encoded_anew_and_its_old_tokens_go(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index_videos(index, encoder, files)
    write_clip(files[1], seed=77)
    report = index_videos(index, encoder, files)
    assert report.added == [str(files[1])]
    assert sorted(video.path for video in index.videos) == [str(path) for path in files]


def test_file_that_moved_while_another_took_its_name_is_not_lost(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index_videos(index, encoder, files)
    digests = {video.path: video.digest for video in index.videos}
    moved = files[1].rename(files[1].with_name("moved.mp4"))
    write_clip(files[1], seed=77)
    report = index_videos(index, encoder, [*files, moved])
    assert (report.added, report.moved) == ([str(files[1])], [str(moved)])
    stored = {video.path: video.digest for video in Index.open(index.location).videos}
    assert stored[str(moved)] == digests[str(files[1])]
    assert len(stored) == 4


def test_long_runs_write_on_the_way(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    add = Index.add

    def recording(self: Index, videos: list[object]) -> None:
        add(self, videos)  # type: ignore[arg-type]
        sizes.append(len(Index.open(self.location)))

    monkeypatch.setattr(Index, "add", recording)
    index_videos(index, encoder, files, batch_size=1, seconds_between_writes=0)
    assert sizes == [1, 2, 3]


def test_error_in_the_middle_keeps_what_was_encoded(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode_clips = VideoColBERTEncoder.encode_decoded
    calls = []

    def failing(self: VideoColBERTEncoder, batch: list[object]) -> object:
        calls.append(batch)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return encode_clips(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoColBERTEncoder, "encode_decoded", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        index_videos(index, encoder, files, batch_size=1)
    assert len(Index.open(index.location)) == 2


def test_other_number_of_frames_than_the_index_has_is_refused(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    with pytest.raises(IndexStoreError, match="samples 6 frames a video, not 4"):
        index_videos(index, encoder, files, num_frames=4)
