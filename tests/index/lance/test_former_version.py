"""`index_of_version_2.zip` holds two indexes that the release before levels became data wrote: the videos of
`VIDEOS`, in two commits, with a calibration."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import lancedb
import pytest

from tests.index.made_tokens import level_score_by_loops
from tests.index.made_videos import MODEL, WIDTH, make_queries, make_video
from video_colbert.index import LanceIndex, WindowSettings, open_index
from video_colbert.index.lance.token_codecs import token_codec

VIDEOS = {"1.mp4": 1, "6.mp4": 6, "3.mp4": 3, "4.mp4": 4}
"""Frames by name."""


@pytest.fixture(params=["float16", "int8"])
def former(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """The folder of an index and its codec."""
    with zipfile.ZipFile(Path(__file__).with_name("index_of_version_2.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path / request.param, request.param


def expected_scores(name: str, frames: int, codec: str) -> list[float]:
    """Of each query, by loops over the tokens as the codec keeps them."""
    _, encoded = make_video(name, frames=frames)
    queries = make_queries().bags_of("frame")
    scores = []
    for query, mask in zip(queries.embeds, queries.mask, strict=True):
        stored = [token_codec(codec).decode(token_codec(codec).encode(bag), WIDTH) for bag in encoded.embeds.values()]
        scores.append(sum(level_score_by_loops(query, mask, bag) for bag in stored))
    return scores


def test_index_of_the_former_version_is_searched_as_before(former: tuple[Path, str]) -> None:
    folder, codec = former
    index = LanceIndex.open(folder, model=MODEL)
    assert (len(index), index.codec, index.num_frames, index.needs_calibration) == (4, codec, 6, False)
    for query, hits in enumerate(index.search(make_queries())):
        scores = {Path(hit.video).name: hit.score for hit in hits}
        assert scores == pytest.approx(
            {name: expected_scores(name, frames, codec)[query] for name, frames in VIDEOS.items()}, abs=1e-5
        )
        assert {tuple(hit.level_scores) for hit in hits} == {("frame", "video")}


@pytest.mark.parametrize(
    ("stored", "expected"), [(None, None), ({"seconds": 20.0, "overlap": 5.0}, WindowSettings(20.0, 5.0))]
)
def test_index_from_before_windows_had_kinds_is_cut_as_it_was(
    stored: dict[str, float] | None, expected: WindowSettings | None, tmp_path: Path
) -> None:
    LanceIndex.create(tmp_path / "own", model=MODEL, num_frames=3)
    schema = lancedb.connect(tmp_path / "own").open_table("videos").schema
    metadata = schema.metadata | {b"video_colbert.windows": json.dumps(stored).encode()}
    lancedb.connect(tmp_path / "former").create_table("videos", schema=schema.with_metadata(metadata))
    assert open_index(tmp_path / "former").stored.windows == LanceIndex.open(tmp_path / "former").windows == expected


def test_index_of_the_former_version_is_added_to_and_filtered(former: tuple[Path, str]) -> None:
    folder, codec = former
    index = LanceIndex.open(folder)
    # The name of this column is refused in a new index, where it would be a level's.
    index.add([make_video("2.mp4", frames=2, metadata={"num_tokens": 9, "genre": "news"})])
    index.remove(["digest of 1.mp4"])
    reopened = LanceIndex.open(folder)
    assert [Path(video.path).name for video in reopened.videos] == ["6.mp4", "3.mp4", "4.mp4", "2.mp4"]
    [hits, *_] = reopened.search(make_queries(), where="num_tokens > 6")
    assert {Path(hit.video).name: hit.score for hit in hits} == pytest.approx(
        {name: expected_scores(name, frames, codec)[0] for name, frames in (("6.mp4", 6), ("2.mp4", 2))}, abs=1e-5
    )
