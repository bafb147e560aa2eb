"""Indexes of the release before facts of files: `lance_without_facts.zip` and `qdrant_without_facts.zip` hold one that
is plain, one whose metadata has the names of facts, and (Lance) one of windows; see `VIDEOS`."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.index.ingest.test_bookkeeping import MadeEncoder
from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.errors import IndexStoreError
from video_colbert.index import IndexingReport, VideoIndex, WindowSettings, index_videos, open_index
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import FileFacts

VIDEOS = {"a.mp4": ("1 red", "news", "small", 0), "b.mp4": ("1 blue", "sport", "large", 1)}
"""By name: content, genre, and the metadata `size` and `width` of the second index."""

OpenFormer = Callable[[str], VideoIndex]


@pytest.fixture(params=["lance", "qdrant"])
def open_former(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenFormer]:
    """Opens a copy of one of the indexes by its name."""
    if request.param == "qdrant":
        pytest.importorskip("qdrant_client")
    with zipfile.ZipFile(Path(__file__).with_name(f"{request.param}_without_facts.zip")) as archive:
        archive.extractall(tmp_path / "former")
    opened = []

    def open_one(name: str) -> VideoIndex:
        folder = tmp_path / "former" / name
        opened.append(open_index(folder if request.param == "lance" else f"qdrant+local://{folder}"))
        return opened[-1].stored

    yield open_one
    for index in opened:
        index.close()


def run_index(index: VideoIndex, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> IndexingReport:
    monkeypatch.setattr("video_colbert.encoding.bulk_encoder.BulkEncoder", MadeEncoder)
    encoder = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(interaction="mean_max_sim")))
    return index_videos(index, [encoder], list(map(str, files)))  # type: ignore[list-item]


def write_files(folder: Path) -> list[Path]:
    files = [folder / name for name in VIDEOS]
    for file in files:
        file.write_text(VIDEOS[file.name][0])
    return files


def names_where(index: VideoIndex, where: str) -> set[str]:
    return {Path(hit.video).name for hit in index.search(make_queries(1), where=where)[0]}


def test_a_former_index_has_no_facts_and_is_searched_as_before(open_former: OpenFormer) -> None:
    index = open_former("plain")
    assert (index.model, index.notes, len(index)) == (MODEL, IndexNotes(), 2)
    assert {Path(video.path).name: video.digest for video in index.videos} == {
        name: hashlib.sha256(content.encode()).hexdigest() for name, (content, *_) in VIDEOS.items()
    }
    assert {video.facts for video in index.videos} == {FileFacts()}
    for where, names in (
        ("genre = 'news'", {"a.mp4"}),
        ("size > 0 or width > 0 or modified > '2001-01-01'", set()),
        ("size is null and modified is null and not width is not null", {"a.mp4", "b.mp4"}),
        ("path startswith '/videos/a' or path like '%b.mp4' and height is null", {"a.mp4", "b.mp4"}),
    ):
        assert names_where(index, where) == names, where


def test_files_that_are_read_again_give_their_facts(
    open_former: OpenFormer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_former("plain")
    files = write_files(tmp_path)
    report = run_index(index, files, monkeypatch)
    assert (report.added, report.moved) == ([], list(map(str, files)))
    assert {Path(video.path).name: (video.facts.size, video.facts.width) for video in index.videos} == {
        "a.mp4": (5, None),
        "b.mp4": (6, None),
    }
    # Under their own names, one frame of each is decoded for its size.
    assert run_index(index, files, monkeypatch) == IndexingReport(present=list(map(str, files)))
    expected = {
        file.name: FileFacts(file.stat().st_size, file.stat().st_mtime, file.stat().st_size, 9) for file in files
    }
    assert {Path(video.path).name: video.facts for video in index.videos} == expected
    assert names_where(index, "size = 6 and height == 9") == {"b.mp4"}
    index.add([make_video("c.mp4")])
    assert len(index) == 3


def test_metadata_of_the_name_of_a_fact_stays_what_it_was(
    open_former: OpenFormer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_former("named")
    of_files = {
        name: {"genre": genre, "size": size, "width": width} for name, (_, genre, size, width) in VIDEOS.items()
    }
    assert {Path(video.path).name: dict(video.metadata) for video in index.videos} == of_files
    assert names_where(index, "size startswith 'la' and width >= 1") == {"b.mp4"}
    files = write_files(tmp_path)
    for _ in range(2):
        run_index(index, files, monkeypatch)
        assert {Path(video.path).name: dict(video.metadata) for video in index.videos} == of_files
        assert names_where(index, "size = 'small' and modified > '2001-01-01'") == {"a.mp4"}
    index.check_metadata([{"size": "huge", "width": 3}])
    with pytest.raises(IndexStoreError, match="metadata cannot be named 'height', which an index knows of each file"):
        index.check_metadata([{"height": 3}])
    index.add([make_video("c.mp4", metadata={"size": "huge", "width": 3})])
    assert names_where(index, "width = 3 and size = 'huge'") == {"c.mp4"}


def test_windows_of_a_former_index_are_as_they_were_made(tmp_path: Path) -> None:
    with zipfile.ZipFile(Path(__file__).with_name("lance_without_facts.zip")) as archive:
        archive.extractall(tmp_path)
    index = open_index(tmp_path / "windows").stored
    assert index.windows == WindowSettings(2.0, 0.5)
    assert sorted((video.start, video.end) for video in index.videos) == [(0.0, 2.0), (1.0, 3.0)]
