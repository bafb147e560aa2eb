from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from processing import QueryWord
from video_colbert.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index import Index, IndexedVideo
from video_colbert.pretrained import ModelReference

MODEL = ModelReference("some/model", "a" * 40)
WIDTH = 8


def unit_vectors(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, WIDTH, generator=generator), dim=-1)


def make_video(
    name: str, *, frames: int = 3, digest: str | None = None, has_video_level: bool = True, seed: int | None = None
) -> tuple[IndexedVideo, EncodedVideo]:
    generator = torch.Generator().manual_seed(sum(map(ord, name)) if seed is None else seed)
    times = np.arange(frames) / 2
    video_embeds = unit_vectors(generator, frames + 2) if has_video_level else None
    return (
        IndexedVideo(f"/videos/{name}", digest or f"digest of {name}", frames / 2, tuple(times.tolist())),
        EncodedVideo(VideoClip(f"/videos/{name}"), frames / 2, times, unit_vectors(generator, frames), video_embeds),
    )


def make_queries(number: int = 3, *, levels: tuple[str, ...] = ("frame", "video")) -> EncodedQueries:
    generator = torch.Generator().manual_seed(number)
    mask = torch.ones(number, 5, dtype=torch.bool)
    mask[0, 3:] = False
    words = [QueryWord("red", [1]), QueryWord("circle", [2, 3])]
    return EncodedQueries(
        texts=[f"query {row}" for row in range(number)],
        query_embeds=unit_vectors(generator, number, 5),
        query_mask=mask,
        words=[words] * number,
        score_levels=levels,
        truncated=[],
    )


def mean_max_sim_by_loops(query: torch.Tensor, mask: torch.Tensor, document: torch.Tensor) -> float:
    """The formula, one similarity after another, over the tokens as they are stored (float16)."""
    maxima = []
    for token, counts in zip(query, mask, strict=True):
        if counts:
            maxima.append(max(float(token.double() @ other.half().double()) for other in document))
    return sum(maxima) / len(maxima)


def names(index: Index) -> list[str]:
    return [Path(video.path).name for video in index.videos]


def test_search_scores_equal_the_formula_for_videos_of_different_lengths(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=6)
    stored = [make_video(f"{frames}.mp4", frames=frames) for frames in (1, 6, 3, 4)]
    index.add(stored)
    queries = make_queries()
    results = Index.open(tmp_path).search(queries)
    for row, hits in enumerate(results):
        expected = []
        for video, encoded in stored:
            assert encoded.video_embeds is not None
            query, mask = queries.query_embeds[row], queries.query_mask[row]
            frame = mean_max_sim_by_loops(query, mask, encoded.frame_embeds)
            whole = mean_max_sim_by_loops(query, mask, encoded.video_embeds)
            expected.append((frame + whole, frame, whole, video.path))
        expected.sort(reverse=True)
        assert [hit.video for hit in hits] == [path for *_, path in expected]
        for hit, (score, frame, whole, _) in zip(hits, expected, strict=True):
            assert (hit.score, hit.frame_score, hit.video_score) == pytest.approx((score, frame, whole), abs=1e-5)


def test_blocks_change_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=6)
    index.add([make_video(f"{number}.mp4", frames=1 + number % 5) for number in range(20)])
    whole = index.search(make_queries(), top_k=20)
    monkeypatch.setattr("video_colbert.index.scoring._BLOCK_BYTES", 700)
    for hits, expected in zip(index.search(make_queries(), top_k=20), whole, strict=True):
        assert [hit.video for hit in hits] == [hit.video for hit in expected]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-6)


def test_moments_are_where_the_summed_tokens_of_a_word_match_best(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=6)
    video, encoded = make_video("a.mp4", frames=6)
    index.add([(video, encoded)])
    queries = make_queries()
    moments = index.search(queries)[1][0].moments
    assert [moment.word for moment in moments] == ["red", "circle"]
    for moment, positions in zip(moments, ([1], [2, 3]), strict=True):
        sums = [
            sum(float(queries.query_embeds[1, position] @ frame.half().float()) for position in positions)
            for frame in encoded.frame_embeds
        ]
        assert moment.time == video.timestamps[int(np.argmax(sums))]
        assert moment.similarity == pytest.approx(max(sums), abs=1e-5)


def test_model_without_video_level_has_no_video_score(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4", has_video_level=False)])
    hit = Index.open(tmp_path).search(make_queries(levels=("frame",)))[0][0]
    assert hit.video_score is None
    assert hit.score == hit.frame_score


def test_equal_scores_keep_the_order_of_adding(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video(name, seed=1) for name in ("c.mp4", "a.mp4", "b.mp4")])
    hits = index.search(make_queries(1))[0]
    assert [Path(hit.video).name for hit in hits] == ["c.mp4", "a.mp4", "b.mp4"]


def test_hit_of_a_window_has_its_bounds(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    video, encoded = make_video("a.mp4")
    index.add([(IndexedVideo(video.path, video.digest, 60.0, video.timestamps, start=10.0, end=20.0), encoded)])
    index.add([(IndexedVideo(video.path, video.digest, 60.0, video.timestamps, start=20.0), encoded)])
    hits = Index.open(tmp_path).search(make_queries(1))[0]
    assert [(hit.start, hit.end) for hit in hits] == [(10.0, 20.0), (20.0, 60.0)]


def test_top_k_bounds_the_hits_and_an_empty_index_has_none(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    assert Index.open(tmp_path).search(make_queries()) == [[], [], []]
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    assert [len(hits) for hits in index.search(make_queries(), top_k=1)] == [1, 1, 1]
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        index.search(make_queries(), top_k=0)


def test_adding_again_changes_nothing(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    before = (tmp_path / "tokens.safetensors").stat().st_mtime_ns
    Index.open(tmp_path).add([make_video("b.mp4"), make_video("a.mp4")])
    assert names(Index.open(tmp_path)) == ["a.mp4", "b.mp4"]
    assert (tmp_path / "tokens.safetensors").stat().st_mtime_ns == before


def test_other_content_at_a_known_path_takes_its_place(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    index.add([make_video("a.mp4", digest="other", seed=99)])
    reopened = Index.open(tmp_path)
    assert [video.digest for video in reopened.videos] == ["digest of b.mp4", "other"]
    fresh = Index.create(tmp_path / "fresh", model=MODEL, num_frames=3)
    fresh.add([make_video("b.mp4"), make_video("a.mp4", digest="other", seed=99)])
    assert reopened.search(make_queries()) == fresh.search(make_queries())


def test_moved_files_keep_their_tokens(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    before = index.search(make_queries(1))[0]
    index.move({"digest of a.mp4": "/elsewhere/c.mp4"})
    after = Index.open(tmp_path).search(make_queries(1))[0]
    assert {hit.video for hit in after} == {"/elsewhere/c.mp4", "/videos/b.mp4"}
    assert [hit.score for hit in after] == [hit.score for hit in before]


def test_list_of_videos_is_plain_json_lines_that_name_the_model(tmp_path: Path) -> None:
    Index.create(tmp_path, model=MODEL, num_frames=3).add([make_video("a.mp4")])
    [line] = (tmp_path / "videos.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "id": "digest of a.mp4",
        "path": "/videos/a.mp4",
        "digest": "digest of a.mp4",
        "duration": 1.5,
        "timestamps": [0.0, 0.5, 1.0],
        "start": None,
        "end": None,
        "model": "some/model",
        "revision": "a" * 40,
    }


def test_other_model_is_refused_and_both_are_named(tmp_path: Path) -> None:
    Index.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(
        ModelMismatchError, match=r"some/model at revision aaaa.*not with other/model at revision bbbb"
    ):
        Index.open(tmp_path, model=ModelReference("other/model", "b" * 40))
    assert Index.open(tmp_path, model=MODEL).model == MODEL


def test_missing_and_existing_indexes_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(IndexStoreError, match="there is no index in"):
        Index.open(tmp_path / "none")
    Index.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(IndexStoreError, match="there is an index in"):
        Index.create(tmp_path, model=MODEL, num_frames=3)
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStoreError, match="cannot be made a folder"):
        Index.create(tmp_path / "file", model=MODEL, num_frames=3)


@pytest.mark.parametrize("file_that_fails", ["tokens.safetensors", "videos.jsonl"])
def test_failed_write_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_that_fails: str
) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    before = index.search(make_queries())
    rename = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if Path(target).name == file_that_fails:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(atomic_files.Path, "replace", replace)
        with pytest.raises(IndexStoreError, match=f"{file_that_fails} cannot be written .No space left"):
            index.add([make_video("c.mp4"), make_video("a.mp4", digest="other", seed=5)])
    assert Index.open(tmp_path).search(make_queries()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.safetensors", "videos.jsonl"]
    index.add([make_video("c.mp4")])
    assert names(Index.open(tmp_path)) == ["a.mp4", "b.mp4", "c.mp4"]


def test_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4")])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(IndexStoreError, match=r"tokens.safetensors cannot be written .*File too large"):
            index.add([make_video(f"{number}.mp4", frames=50) for number in range(20)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(Index.open(tmp_path)) == ["a.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.safetensors", "videos.jsonl"]


def test_index_can_be_read_by_whom_the_user_lets_read_new_files(tmp_path: Path) -> None:
    Index.create(tmp_path / "index", model=MODEL, num_frames=3).add([make_video("a.mp4")])
    (tmp_path / "usual").touch()
    modes = {path.stat().st_mode for path in (tmp_path / "index").iterdir()}
    assert modes == {(tmp_path / "usual").stat().st_mode}


def test_second_writer_is_stopped_before_it_undoes_the_first(tmp_path: Path) -> None:
    first = Index.create(tmp_path, model=MODEL, num_frames=3)
    second = Index.open(tmp_path)
    first.add([make_video("a.mp4")])
    with pytest.raises(IndexStoreError, match="another process changed the index"):
        second.add([make_video("b.mp4")])
    assert names(Index.open(tmp_path)) == ["a.mp4"]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    Index.create(tmp_path, model=MODEL, num_frames=3).add([make_video("a.mp4"), make_video("b.mp4")])
    videos, tokens = tmp_path / "videos.jsonl", tmp_path / "tokens.safetensors"
    lines = videos.read_text()
    videos.write_text(lines[:-30])
    with pytest.raises(IndexStoreError, match=r"videos.jsonl is damaged: line 2"):
        Index.open(tmp_path)
    videos.write_text(lines.replace("digest of b", "digest of c"))
    with pytest.raises(IndexStoreError, match=r"tokens.safetensors is damaged: it lacks 1"):
        Index.open(tmp_path)
    videos.write_text(lines)
    tokens.write_bytes(tokens.read_bytes()[:-10])
    with pytest.raises(IndexStoreError, match=r"tokens.safetensors is missing or damaged"):
        Index.open(tmp_path)


def test_index_of_another_schema_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("video_colbert.index.index_files.SCHEMA_VERSION", 99)
        Index.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(IndexStoreError, match="schema version 99, this release reads 1"):
        Index.open(tmp_path)
