"""One new index that is made by two at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.index.made_videos import make_video
from video_colbert import Index, VideoColBERTEncoder, open_index
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex


def open_at_once(
    folder: Path, encoder: VideoColBERTEncoder, frames: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> list[Index | IndexStoreError]:
    """Two that open an index, each once both have seen that there is none."""
    both = threading.Barrier(2, timeout=60)

    def is_there(*_: object, **__: object) -> bool:
        both.wait()
        return False

    monkeypatch.setattr(LanceIndex, "exists", is_there)

    def opened(num_frames: int) -> Index | IndexStoreError:
        try:
            return open_index(folder, encoder, num_frames=num_frames)
        except IndexStoreError as error:
            return error

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(opened, frames))


def test_of_two_that_make_an_index_at_once_the_other_opens_it_and_nothing_is_lost(
    tmp_path: Path, encoder: VideoColBERTEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, name in zip(open_at_once(tmp_path, encoder, (3, 3), monkeypatch), ("a.mp4", "b.mp4"), strict=True):
        assert isinstance(index, Index)
        index.stored.add([make_video(name, digest=name)])
    assert {video.path for video in LanceIndex.open(tmp_path).videos} == {"/videos/a.mp4", "/videos/b.mp4"}


def test_one_that_would_have_made_another_index_is_told_so(
    tmp_path: Path, encoder: VideoColBERTEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted(
        open_at_once(tmp_path, encoder, (2, 3), monkeypatch), key=lambda it: not isinstance(it, Index)
    )
    assert isinstance(first, Index)
    assert isinstance(second, IndexStoreError)
    assert f"was made with num_frames={first.stored.num_frames}, not " in str(second)
