from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.index.made_videos import MODEL, make_video
from video_colbert.index import LanceIndex, VideoIndex
from video_colbert.index.index_notes import BadFile, IndexNotes


def digest_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_notes_are_read_as_they_were_written_and_others_are_none() -> None:
    notes = IndexNotes(
        ("/videos", '/it\'s a "folder"/ü'),
        (
            BadFile("a" * 64, "/videos/a.mp4", "is empty (0 bytes)"),
            BadFile("b" * 64, "https://host/b.mp4", "is damaged", ((None, None), (1.5, 2.0), (3.0, None))),
        ),
        ("float32", "int8"),
        description_columns=("headline", "title"),
    )
    assert IndexNotes.from_text(notes.to_text()) == notes
    assert IndexNotes.from_text(None) == IndexNotes.from_text("") == IndexNotes.from_text("no notes") == IndexNotes()
    # A thousand bad files take little more than their digests.
    many = dataclasses.replace(
        notes,
        bad_files=tuple(BadFile(digest_of(str(n)), f"/videos/{n}.mp4", "is empty (0 bytes)") for n in range(1000)),
    )
    assert len(many.to_text()) < 1000 * 60


def make_lance(folder: Path) -> VideoIndex:
    return LanceIndex.create(folder, model=MODEL, num_frames=3)


def make_qdrant(folder: Path) -> VideoIndex:
    pytest.importorskip("qdrant_client")
    from video_colbert.index.qdrant.qdrant_index import QdrantIndex

    return QdrantIndex.create(f"qdrant+local://{folder}", model=MODEL, num_frames=3)


@pytest.mark.parametrize("make", [make_lance, make_qdrant])
def test_of_a_forgotten_video_no_bad_window_is_noted(tmp_path: Path, make: Callable[[Path], VideoIndex]) -> None:
    index = make(tmp_path)
    index.add([make_video("a.mp4", start=0.0, end=1.0), make_video("b.mp4", start=0.0, end=1.0)])
    ids = {Path(video.path).name: video.id for video in index.videos}
    of_a, of_b = (
        BadFile(f"digest of {name}", f"/videos/{name}", "is damaged", ((1.0, 2.0),)) for name in ("a.mp4", "b.mp4")
    )
    index.set_notes(IndexNotes(("/videos",), (of_a, of_b)))
    written = index.notes.to_text().encode()
    index.forget([ids["a.mp4"], "not stored"])
    assert index.notes == IndexNotes(("/videos",), (of_b,))
    assert [Path(video.path).name for video in index.videos] == ["b.mp4"]
    if isinstance(index, LanceIndex):
        assert not [file for file in tmp_path.rglob("*") if file.is_file() and written in file.read_bytes()]
    index.close()
