from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video_files import write_bad_files, write_clip
from tests.warm_python import warm_python
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.errors import IndexStoreError
from video_colbert.index import (
    IndexedVideo,
    IndexingReport,
    LanceIndex,
    WindowSettings,
    index_videos,
    prune_videos,
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_clip(tmp_path / "videos" / f"{seed}.mp4", seed) for seed in range(3)]


@pytest.fixture
def index(tmp_path: Path, encoder: VideoColBERTEncoder) -> LanceIndex:
    return LanceIndex.create(tmp_path / "index", model=encoder.reference, num_frames=encoder.num_frames)


@pytest.fixture
def make_windowed(tmp_path: Path, encoder: VideoColBERTEncoder) -> Callable[[WindowSettings], LanceIndex]:
    """Makes an index that cuts long videos."""

    def make(windows: WindowSettings) -> LanceIndex:
        return LanceIndex.create(
            tmp_path / "windowed", model=encoder.reference, num_frames=encoder.num_frames, windows=windows
        )

    return make


def test_report_says_what_was_done_with_each_file(
    tmp_path: Path, index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    bad = write_bad_files(tmp_path / "bad")
    missing = tmp_path / "missing.mp4"
    report = index_videos(index, encoder, [missing, bad["text"], *files, bad["empty"]], batch_size=2)
    assert report.added == [str(path) for path in files]
    assert [video.source for video in report.bad] == [str(missing), str(bad["text"]), str(bad["empty"])]
    assert report.bad[0].reason == "there is no such file"
    assert index_videos(index, encoder, files) == IndexingReport(present=[str(path) for path in files])


def test_stored_tokens_are_those_of_the_encoder(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index_videos(index, encoder, files)
    queries = encoder.encode_queries(["a red circle grows", "a blue square"])
    inputs = encoder.processor(text=queries.texts, videos=files)
    expected = encoder.model(**inputs).scores
    for row, hits in enumerate(LanceIndex.open(index.location).search(queries)):
        scores = {Path(hit.video): hit.score for hit in hits}
        # Stored as float16, which keeps about three decimals of a cosine.
        assert [scores[path] for path in files] == pytest.approx(expected[row].tolist(), abs=2e-3)


def test_changed_file_is_encoded_anew_and_its_old_tokens_go(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index_videos(index, encoder, files)
    write_clip(files[1], seed=77)
    report = index_videos(index, encoder, files)
    assert report.added == [str(files[1])]
    assert sorted(video.path for video in index.videos) == [str(path) for path in files]


def test_file_that_moved_while_another_took_its_name_is_not_lost(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index_videos(index, encoder, files)
    digests = {video.path: video.digest for video in index.videos}
    moved = files[1].rename(files[1].with_name("moved.mp4"))
    write_clip(files[1], seed=77)
    report = index_videos(index, encoder, [*files, moved])
    assert (report.added, report.moved) == ([str(files[1])], [str(moved)])
    stored = {video.path: video.digest for video in LanceIndex.open(index.location).videos}
    assert stored[str(moved)] == digests[str(files[1])]
    assert len(stored) == 4


def test_long_runs_write_on_the_way(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_when_encoding = []
    encode = VideoColBERTEncoder.encode_decoded

    def wait_for_a_write(self: VideoColBERTEncoder, batch: list[object]) -> object:
        deadline = time.monotonic() + 20
        while len(LanceIndex.open(index.location)) < len(stored_when_encoding) and time.monotonic() < deadline:
            time.sleep(0.01)
        stored_when_encoding.append(len(LanceIndex.open(index.location)))
        return encode(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoColBERTEncoder, "encode_decoded", wait_for_a_write)
    index_videos(index, encoder, files, batch_size=1, seconds_between_writes=0)
    assert stored_when_encoding == [0, 1, 2]


def test_error_in_the_middle_keeps_what_was_encoded(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path], monkeypatch: pytest.MonkeyPatch
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
    assert len(LanceIndex.open(index.location)) == 2


def stored_windows(index: LanceIndex) -> list[tuple[str, float | None, float | None]]:
    return sorted((Path(video.path).name, video.start or 0.0, video.end or 0.0) for video in index.videos)


def test_long_videos_are_stored_as_windows_with_the_frames_between_their_bounds(
    tmp_path: Path,
    make_windowed: Callable[[WindowSettings], LanceIndex],
    encoder: VideoColBERTEncoder,
    files: list[Path],
) -> None:
    index = make_windowed(WindowSettings(3.0, 1.0))
    long = write_clip(tmp_path / "videos" / "long.mp4", 9, frames=30)
    report = index_videos(index, encoder, [*files, long])
    assert (len(report.added), report.clips, report.bad) == (4, 7, [])
    # 7.5 s: the last window is moved back to the end. The others last 3 s and are stored whole.
    windows = [(0.0, 3.0), (2.0, 5.0), (4.0, 7.0), (4.5, 7.5)]
    assert stored_windows(index) == [(f"{seed}.mp4", 0.0, 0.0) for seed in range(3)] + [
        ("long.mp4", *window) for window in windows
    ]
    for video in index.videos:
        if video.end is not None:
            assert video.duration == pytest.approx(7.5)
            assert all((video.start or 0.0) <= time < video.end for time in video.timestamps)
            assert len(video.timestamps) == 6
    again = index_videos(LanceIndex.open(index.location), encoder, [*files, long])
    assert again == IndexingReport(present=[str(path) for path in [*files, long]])


def test_windows_of_an_interrupted_run_are_completed(
    tmp_path: Path, make_windowed: Callable[[WindowSettings], LanceIndex], encoder: VideoColBERTEncoder
) -> None:
    index = make_windowed(WindowSettings(2.5))
    long = write_clip(tmp_path / "long.mp4", 9, frames=30)
    index_videos(index, encoder, [long])
    lost = [video.id for video in index.videos if video.start != 2.5]
    index.remove(lost)
    report = index_videos(index, encoder, [long])
    assert (report.added, report.clips) == ([str(long)], len(lost))
    assert stored_windows(index) == [("long.mp4", 0.0, 2.5), ("long.mp4", 2.5, 5.0), ("long.mp4", 5.0, 7.5)]


def test_windows_of_other_content_replace_what_was_stored(
    tmp_path: Path, make_windowed: Callable[[WindowSettings], LanceIndex], encoder: VideoColBERTEncoder
) -> None:
    index = make_windowed(WindowSettings(2.5))
    long = write_clip(tmp_path / "long.mp4", 9, frames=30)
    index_videos(index, encoder, [long])
    write_clip(long, 10, frames=20)
    report = index_videos(index, encoder, [long])
    assert report.clips == 2
    assert stored_windows(index) == [("long.mp4", 0.0, 2.5), ("long.mp4", 2.5, 5.0)]
    assert len({video.digest for video in index.videos}) == 1


def test_windows_of_unknown_settings_are_not_replaced_by_whole_videos(
    tmp_path: Path, index: LanceIndex, encoder: VideoColBERTEncoder
) -> None:
    long = write_clip(tmp_path / "long.mp4", 9, frames=30)
    [encoded] = encoder.encode_videos([VideoClip(str(long), start=0.0, end=2.5)])
    assert isinstance(encoded, EncodedVideo)
    window = IndexedVideo(str(long), "0" * 64, encoded.duration, tuple(encoded.timestamps.tolist()), 0.0, 2.5)
    index.add([(window, encoded)])
    with pytest.raises(IndexStoreError, match="holds windows of videos but does not say how they are cut"):
        index_videos(index, encoder, [long])
    assert stored_windows(index) == [("long.mp4", 0.0, 2.5)]


def test_unreadable_new_content_leaves_the_old_one_searchable(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index_videos(index, encoder, files)
    files[1].write_text("These are words, not a film.")
    report = index_videos(index, encoder, files)
    assert [video.source for video in report.bad] == [str(files[1])]
    assert len(index) == 3


def test_file_that_became_a_copy_of_another_is_not_found_by_its_old_content(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index_videos(index, encoder, files)
    files[1].write_bytes(files[0].read_bytes())
    report = index_videos(index, encoder, files)
    assert (report.duplicates, report.replaced) == ({str(files[1]): str(files[0])}, 1)
    assert sorted(video.path for video in index.videos) == [str(files[0]), str(files[2])]


def test_a_file_whose_name_is_not_utf8_is_named_and_hides_no_other(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    odd = files[0].with_name(os.fsdecode(b"caf\xe9.mp4"))
    write_clip(files[0].with_name("odd.mp4"), 77).rename(odd)
    report = index_videos(index, encoder, [odd, *files])
    assert report.added == [str(file) for file in files]
    assert [(bad.source, "its name is not UTF-8" in bad.reason) for bad in report.bad] == [(str(odd), True)]


def test_many_files_are_stored_once_each_with_several_encoders_and_copies(
    tmp_path: Path, index: LanceIndex, encoder: VideoColBERTEncoder
) -> None:
    files = [write_clip(tmp_path / "many" / f"{seed:02d}.mp4", seed, frames=3) for seed in range(20)]
    copies = [Path(shutil.copy(path, path.with_name(f"copy{path.name}"))) for path in files[:5]]
    report = index_videos(
        index, [encoder, encoder.replica("cpu")], [*files, *copies], batch_size=3, workers=3, seconds_between_writes=0
    )
    assert len(report.added) == 20
    assert len(report.duplicates) == 5
    assert sorted(video.digest for video in index.videos) == sorted(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    )


def test_metadata_is_stored_and_updated_without_encoding_again(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    def stored() -> dict[str, object]:
        return {Path(video.path).name: dict(video.metadata) for video in index.videos}

    names = [str(path) for path in files]
    index_videos(index, encoder, files[:2], metadata={names[0]: {"year": 2020, "genre": "news"}})
    assert stored() == {"0.mp4": {"year": 2020, "genre": "news"}, "1.mp4": {}}
    report = index_videos(
        index, encoder, files, metadata={names[0]: {"year": 2021}, names[1]: {"genre": "film"}, names[2]: {"year": 1}}
    )
    assert report == IndexingReport(added=names[2:], present=names[:2], described=names[:2], clips=1)
    assert stored() == {"0.mp4": {"year": 2021}, "1.mp4": {"genre": "film"}, "2.mp4": {"year": 1}}
    hits = index.search(encoder.encode_queries(["a red circle"]), where="year >= 2000")[0]
    assert [Path(hit.video).name for hit in hits] == ["0.mp4"]
    # Without metadata, what is there stays.
    assert index_videos(index, encoder, files).described == []


def test_metadata_that_the_index_cannot_take_is_refused_before_any_work(
    index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    with pytest.raises(IndexStoreError, match=r"metadata cannot be named 'a\.year'"):
        index_videos(index, encoder, files, metadata={str(files[0]): {"a.year": 2020}})
    assert len(index) == 0


def test_pruning_removes_what_is_gone_from_the_folder_and_nothing_else(
    tmp_path: Path,
    make_windowed: Callable[[WindowSettings], LanceIndex],
    encoder: VideoColBERTEncoder,
    files: list[Path],
) -> None:
    index = make_windowed(WindowSettings(1.0))
    elsewhere = write_clip(tmp_path / "elsewhere" / "a.mp4", 7)
    index_videos(index, encoder, [*files, elsewhere])
    files[1].unlink()
    elsewhere.unlink()
    assert prune_videos(index, [files[0].parent]) == [str(files[1])]
    assert {video.path for video in index.videos} == {str(files[0]), str(files[2]), str(elsewhere)}
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*gone; nothing of it is removed"):
        prune_videos(index, [tmp_path / "gone"])


def test_folder_that_lost_all_of_its_files_is_pruned_only_when_that_is_said(
    tmp_path: Path, index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    disk = tmp_path / "videos" / "disk"
    on_disk = [write_clip(disk / f"{seed}.mp4", seed) for seed in (7, 8)]
    index_videos(index, encoder, [*files, *on_disk])
    # As where the disk is not mounted any more.
    for path in on_disk:
        path.unlink()
    for folder in (disk, disk.parent):
        with pytest.raises(
            IndexStoreError, match=rf"all files that the index knows in {disk} are gone.*prune_all=True"
        ):
            prune_videos(index, [folder])
    assert len(index) == 5
    assert prune_videos(index, [disk.parent], prune_all=True) == [str(path) for path in on_disk]
    # A folder that is gone with its file was removed on purpose, if what is around it is there.
    write_clip(disk / "a.mp4", 9)
    index_videos(index, encoder, [disk / "a.mp4"])
    shutil.rmtree(disk)
    assert prune_videos(index, [disk.parent]) == [str(disk / "a.mp4")]


def test_copy_stands_for_a_content_whose_first_file_is_gone_or_changed(
    tmp_path: Path, index: LanceIndex, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    first, second = files[:2]
    copies = [Path(shutil.copy(path, tmp_path / f"copy of {path.name}")) for path in (first, second)]
    index_videos(index, encoder, files)
    report = index_videos(index, encoder, copies)
    assert report.duplicates == {str(copies[0]): str(first), str(copies[1]): str(second)}
    digests = {video.path: video.digest for video in index.videos}
    write_clip(first, 77)
    report = index_videos(index, encoder, [first])
    assert (report.added, report.moved) == ([str(first)], [str(copies[0])])
    second.unlink()
    assert prune_videos(index, [second.parent]) == []
    stored = {video.path: video.digest for video in LanceIndex.open(index.location).videos}
    assert stored[str(copies[0])] == digests[str(first)]
    assert stored[str(copies[1])] == digests[str(second)]
    assert stored.keys() == {str(path) for path in (first, files[2], *copies)}


def test_further_files_of_a_content_that_does_not_decode_are_bad_too(
    tmp_path: Path, index: LanceIndex, encoder: VideoColBERTEncoder
) -> None:
    bad = write_bad_files(tmp_path)["text"]
    copy = Path(shutil.copy(bad, tmp_path / "copy.mp4"))
    report = index_videos(index, encoder, [bad, copy])
    assert [video.source for video in report.bad] == [str(bad), str(copy)]
    assert report.bad[0].reason == report.bad[1].reason
    assert report.duplicates == {}


def test_file_whose_frames_are_years_apart_is_one_bad_file_and_whole_it_is_stored(
    tmp_path: Path,
    index: LanceIndex,
    make_windowed: Callable[[WindowSettings], LanceIndex],
    encoder: VideoColBERTEncoder,
    files: list[Path],
) -> None:
    odd = tmp_path / "odd.mp4"
    with av.open(odd, "w", options={"video_track_timescale": "1"}) as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width = stream.height = 32
        stream.codec_context.time_base = Fraction(1)
        for pts in (0, 10 * 365 * 86400):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            frame.pts, frame.time_base = pts, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    report = index_videos(make_windowed(WindowSettings(3600.0)), encoder, [*files, odd])
    assert report.added == [str(path) for path in files]
    [bad] = report.bad
    assert bad.source == str(odd)
    assert "not believed" in bad.reason
    assert index_videos(index, encoder, [odd]).added == [str(odd)]


SCRIPT = """
from video_colbert import VideoColBERTEncoder, open_index

encoder = VideoColBERTEncoder.from_pretrained({model!r})
report = open_index({index!r}, encoder).add([{videos!r}])
print(len(report.added), len(report.bad))
"""


def test_a_script_without_a_main_guard_indexes_once(tmp_path: Path, checkpoint_folder: Path) -> None:
    write_clip(tmp_path / "videos" / "clip.mp4", 0)
    script = tmp_path / "script.py"
    places = {"model": checkpoint_folder, "index": tmp_path / "index", "videos": tmp_path / "videos"}
    script.write_text(SCRIPT.format(**{name: str(place) for name, place in places.items()}))
    run = subprocess.run([warm_python(), str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert (run.returncode, run.stdout.split()) == (0, ["1", "0"]), run.stderr
