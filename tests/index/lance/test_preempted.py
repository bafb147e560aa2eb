"""Two processes that change the columns of an index at one moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.index.made_videos import MODEL
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.lance.errors import repeat_preempted


def test_a_column_that_another_adds_at_the_same_moment_is_left_and_the_others_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)._table
    other = LanceIndex.open(tmp_path)._table
    year, genre = pa.field("year", pa.int64()), pa.field("genre", pa.string())
    add = ours._table.add_columns
    asked = []

    def beaten(missing: Any) -> Any:
        asked.append([field.name for field in missing])
        if len(asked) == 1:
            other.add_columns([year])
        return add(missing)

    monkeypatch.setattr(ours._table, "add_columns", beaten)
    ours.add_columns([year, genre])
    assert asked == [["year", "genre"], ["genre"]]
    assert {"year", "genre"} <= set(LanceIndex.open(tmp_path)._table.schema.names)


def test_what_fails_for_another_reason_is_not_tried_again() -> None:
    tries = []

    def change() -> None:
        tries.append(1)
        raise IndexStoreError("the disk is full") from OSError("no space left")

    with pytest.raises(IndexStoreError, match="disk is full"):
        repeat_preempted(change)
    assert len(tries) == 1
