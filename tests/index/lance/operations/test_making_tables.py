from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import lancedb
import pyarrow as pa
import pytest
from filelock import FileLock
from lancedb.db import DBConnection

from video_colbert.index.lance.operations import making_tables
from video_colbert.index.lance.operations.making_tables import make_table

SCHEMA = pa.schema([("number", pa.int64())])
ROWS = pa.table({"number": [1, 2]}, schema=SCHEMA)


def numbers(folder: Path) -> list[int]:
    return list(lancedb.connect(folder).open_table("t").to_arrow()["number"].to_pylist())


def test_a_table_is_made_once(tmp_path: Path) -> None:
    database = lancedb.connect(tmp_path)
    assert make_table(database, str(tmp_path), "t", SCHEMA) is not None
    assert make_table(database, str(tmp_path), "t", SCHEMA) is None


def test_one_that_waits_for_another_to_make_a_table_leaves_it_as_it_is(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as thread:
        with FileLock(tmp_path / "tables.lock"):
            later = thread.submit(make_table, lancedb.connect(tmp_path), str(tmp_path), "t", SCHEMA)
            lancedb.connect(tmp_path).create_table("t", ROWS)
        assert later.result(60) is None
    assert numbers(tmp_path) == [1, 2]


def test_of_many_at_once_one_makes_the_table(tmp_path: Path) -> None:
    def made(_: int) -> bool:
        return make_table(lancedb.connect(tmp_path), str(tmp_path), "t", SCHEMA) is not None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(made, range(8))) == 1


def test_what_was_replaced_in_object_storage_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = lancedb.connect(tmp_path)

    class MadeInBetween:
        """Another process makes the table, and adds to it, once this one has seen that there is none."""

        def list_tables(self, *arguments: Any, **options: Any) -> Any:
            found = database.list_tables(*arguments, **options)
            database.create_table("t", ROWS)
            return found

        def create_table(self, name: str, *, schema: pa.Schema) -> Any:
            return database.create_table(name, schema=schema, mode="overwrite")

    monkeypatch.setattr(making_tables, "is_remote", lambda location: True)
    assert make_table(cast(DBConnection, MadeInBetween()), str(tmp_path), "t", SCHEMA) is None
    assert numbers(tmp_path) == [1, 2]
