"""Readings in a Lance table of their own, beside the table of the videos; it is there from the first reading on."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.passages.reading_rows import reading_of_row, reading_row, source_of
from video_colbert.index.passages.reading_store import Reading, ReadingStore
from video_colbert.text.passages import Source

TABLE_NAME = "readings"
"""Name of the table in the index's folder or address."""

_HOLDER = f"table {TABLE_NAME}"
# Readings of an hour of speech are some hundred kilobytes.
_READ_AT_ONCE = 256
_VERSION_KEY, _VERSION = b"video_colbert.readings_version", b"1"
# One row a content and source; a content that two processes read at once is kept once.
_KEY = pa.field("id", pa.string(), nullable=False, metadata={"lance-schema:unenforced-primary-key:position": "1"})
_SCHEMA = pa.schema(
    [
        _KEY,
        pa.field("digest", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("settings", pa.string(), nullable=False),
        pa.field("problem", pa.string()),
        pa.field("passages", pa.string(), nullable=False),
    ],
    metadata={_VERSION_KEY: _VERSION},
)


class LanceReadings(ReadingStore):
    """The readings of one index; what was kept when `keep` returned is there after any crash.

    Args:
        videos: the table of the index's videos, beside which that of the readings lies.
    """

    def __init__(self, videos: LanceTable) -> None:
        self._videos = videos
        self._opened: LanceTable | None = None
        self._lock = threading.Lock()

    @override
    def known(self) -> Mapping[tuple[str, Source], str]:
        return {key: str(settings) for key, settings in self._column("settings").items()}

    @override
    def problems(self) -> Mapping[tuple[str, Source], str]:
        return {key: problem for key, problem in self._column("problem").items() if problem is not None}

    @override
    def keep(self, readings: Sequence[Reading]) -> None:
        if not readings:
            return
        table = self._table(make=True)
        assert table is not None  # noqa: S101 - it was made
        last = {(reading.digest, reading.source): reading for reading in readings}
        table.replace(pa.Table.from_pylist([reading_row(reading) for reading in last.values()], schema=_SCHEMA))

    @override
    def read(self, digests: Collection[str] | None = None) -> Iterator[Reading]:
        table = self._table()
        if table is None:
            return
        version = table.at_version(table.latest_version())
        found, row_ids = version.read(["digest"])
        if digests is not None:
            row_ids = row_ids[pc.is_in(found["digest"], value_set=pa.array(sorted(digests), pa.string())).to_numpy()]
        for first in range(0, len(row_ids), _READ_AT_ONCE):
            rows, _ = version.take(row_ids[first : first + _READ_AT_ONCE], _SCHEMA.names)
            for row in rows.to_pylist():
                yield reading_of_row(row, table.location, _HOLDER)

    @override
    def remove(self, digests: Collection[str]) -> None:
        table = self._table()
        if table is not None and (ids := _ids_of(table, digests)):
            table.delete(ids)

    @override
    def forget(self, digests: Collection[str]) -> None:
        table = self._table()
        if table is None:
            return
        ids = _ids_of(table, digests)
        if ids or not digests:
            table.erase(ids)

    def _column(self, name: str) -> dict[tuple[str, Source], str | None]:
        """A column of text, by digest and source."""
        table = self._table()
        if table is None:
            return {}
        rows, _ = table.at_version(table.latest_version()).read(["digest", "source", name])
        return {
            (row["digest"], source_of(row["source"], table.location, _HOLDER)): row[name] for row in rows.to_pylist()
        }

    def _table(self, *, make: bool = False) -> LanceTable | None:
        """The table; None where there is none and none is to be made."""
        with self._lock:
            if self._opened is None:
                self._opened = self._videos.beside(TABLE_NAME, _SCHEMA if make else None)
                if self._opened is not None:
                    _check_schema(self._opened)
            return self._opened


def read_all_readings(videos: LanceTable) -> tuple[int, int]:
    """Reads every reading of an index; the version of their table and how many there are, 0 and 0 without a table.

    Args:
        videos: the table of the index's videos.

    Raises:
        IndexStoreError: one cannot be read.
    """
    table = videos.beside(TABLE_NAME)
    if table is None:
        return 0, 0
    _check_schema(table)
    return table.latest_version(), sum(1 for _ in LanceReadings(videos).read())


def _check_schema(table: LanceTable) -> None:
    schema = table.schema
    if (schema.metadata or {}).get(_VERSION_KEY) != _VERSION or not set(_SCHEMA.names) <= set(schema.names):
        raise IndexStoreError(
            f"the table {TABLE_NAME} in {table.location} is none of this release; delete the folder "
            f"{TABLE_NAME}.lance, and index with the same sources to read them again"
        )


def _ids_of(table: LanceTable, digests: Collection[str]) -> list[str]:
    if not digests:
        return []
    wanted = set(digests)
    rows, _ = table.at_version(table.latest_version()).read(["id", "digest"])
    return sorted(row["id"] for row in rows.to_pylist() if row["digest"] in wanted)
