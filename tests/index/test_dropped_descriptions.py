from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.index.ingest.test_reading import add
from tests.index.made_videos import MODEL
from tests.text.made_media import write_media
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.dropped_descriptions import drop_description_column
from video_colbert.index.ingest.reading import read_passages
from video_colbert.text.description import DescriptionReader


def described(folder: Path, metadata: Mapping[str, str], *columns: str) -> tuple[LanceIndex, Path]:
    """An index of a film with a title and a comment, and with columns that were named in turn."""
    (folder / "videos").mkdir()
    film = write_media(folder / "videos" / "a.mkv", tags={"title": "On leaves", "comment": "How leaves eat"})
    index = LanceIndex.create(folder / "index", model=MODEL, num_frames=3)
    add(index, [film], dict(metadata))
    for column in columns:
        read_passages(index, [DescriptionReader()], [film], description_column=column, workers=1)
    return index, film


def texts(index: LanceIndex) -> list[str]:
    [reading] = index.readings.read()
    return [passage.text for passage in reading.passages]


def read_again(index: LanceIndex, film: Path) -> list[str]:
    read_passages(index, [DescriptionReader()], [film], workers=1)
    return texts(index)


def test_what_only_a_dropped_column_said_is_gone_without_reading_a_file(tmp_path: Path) -> None:
    index, film = described(tmp_path, {"a": "On light", "b": "On light", "c": "On rain"}, "a", "b", "c")
    kept = film.read_bytes()
    film.unlink()
    assert drop_description_column(index, "a") == 0
    assert texts(index) == ["On light", "On rain", "On leaves", "How leaves eat"]
    assert drop_description_column(index, "b") == 1
    assert texts(index) == ["On rain", "On leaves", "How leaves eat"]
    assert drop_description_column(index, "c") == 1
    assert texts(index) == ["On leaves", "How leaves eat"]
    assert index.notes.description_columns == ()
    film.write_bytes(kept)
    assert read_again(index, film) == ["On leaves", "How leaves eat"]
    assert index.videos[0].metadata == {"a": "On light", "b": "On light", "c": "On rain"}


def test_what_the_file_says_too_is_read_again(tmp_path: Path) -> None:
    index, film = described(tmp_path, {"headline": "How leaves eat"}, "headline")
    assert drop_description_column(index, "headline") == 1
    assert texts(index) == ["On leaves"]
    assert read_again(index, film) == ["On leaves", "How leaves eat"]


def test_of_metadata_that_changed_since_nothing_old_is_left(tmp_path: Path) -> None:
    index, film = described(tmp_path, {"a": "On light", "b": "On rain"}, "a", "b")
    index.set_metadata({video.id: {"a": "On night", "b": "On rain"} for video in index.videos})
    assert drop_description_column(index, "a") == 1
    assert texts(index) == ["On rain"]
    assert read_again(index, film) == ["On rain", "On leaves", "How leaves eat"]


def test_a_run_that_was_killed_before_its_end_is_repeated(tmp_path: Path) -> None:
    index, _ = described(tmp_path, {"a": "On light"}, "a")
    noted = index.notes
    drop_description_column(index, "a")
    index.set_notes(noted)
    drop_description_column(index, "a")
    assert texts(index) == ["On leaves", "How leaves eat"]
    assert index.notes.description_columns == ()


def test_a_column_that_was_never_named_is_refused(tmp_path: Path) -> None:
    index, _ = described(tmp_path, {"a": "On light", "b": "On rain"}, "a")
    with pytest.raises(IndexStoreError, match=r"'b' is not among the description columns of .*, which are a"):
        drop_description_column(index, "b")
    drop_description_column(index, "a")
    with pytest.raises(IndexStoreError, match=r"'a' is not among .*, of which there are none"):
        drop_description_column(index, "a")
