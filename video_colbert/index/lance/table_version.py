"""One version of a Lance table, for reading: no later commit changes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lancedb.table import Table

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.errors import reading
from video_colbert.index.lance.operations.word_index import word_indexes, word_query

_ROWS_AT_ONCE = 8192


class TableVersion:
    """One version of a table, for reading.

    Args:
        location: folder, or address in object storage.
        table: a handle of this version, used by nobody else.
    """

    def __init__(self, location: str, table: Table) -> None:
        self.location = location
        self._table = table
        self.version = int(table.version)
        self.schema: pa.Schema = table.schema

    def num_bytes(self) -> int:
        """Size of the data files.

        Raises:
            IndexStoreError: the table cannot be read.
        """
        with reading(self.location):
            return int(table_statistics(self._table)["total_bytes"])

    def read(self, columns: Sequence[str]) -> tuple[pa.Table, npt.NDArray[np.uint64]]:
        """Reads columns of all rows in the order of the table.

        Args:
            columns: their names.

        Returns:
            The columns, and the row ids, which increase.

        Raises:
            IndexStoreError: the table cannot be read.
        """
        with reading(self.location):
            query = self._table.search().select(list(columns)).with_row_id(True).limit(None)
            return _sorted_by_row_id(query.to_arrow())

    def parts(self, columns: Sequence[str]) -> Iterator[tuple[pa.Table, npt.NDArray[np.uint64]]]:
        """Reads columns of all rows, some thousands at a time, in any order.

        Args:
            columns: their names.

        Yields:
            The columns of some rows, and their row ids.

        Raises:
            IndexStoreError: the table cannot be read.
        """
        with reading(self.location):
            query = self._table.search().select(list(columns)).with_row_id(True).limit(None)
            batches = iter(query.to_batches(_ROWS_AT_ONCE))
        while True:
            with reading(self.location):
                batch = next(batches, None)
            if batch is None:
                return
            part = pa.Table.from_batches([batch])
            yield part.drop_columns(["_rowid"]), part["_rowid"].to_numpy()

    def take(self, row_ids: npt.NDArray[np.uint64], columns: Sequence[str]) -> tuple[pa.Table, npt.NDArray[np.uint64]]:
        """Reads columns of some rows.

        Args:
            row_ids: of rows of this version, each once.
            columns: their names.

        Returns:
            The columns and the row ids, which increase, whatever the order of `row_ids`.

        Raises:
            IndexStoreError: the table cannot be read.
        """
        with reading(self.location):
            query = self._table.take_row_ids(row_ids.tolist()).select(list(columns)).with_row_id()
            table, found = _sorted_by_row_id(query.to_arrow())
        if len(found) != len(row_ids):
            raise IndexStoreError(f"{self.location} is damaged: {len(row_ids) - len(found)} rows are missing")
        return table, found

    def find_words(
        self, column: str, words: str, phrases: Sequence[str], limit: int, columns: Sequence[str]
    ) -> pa.Table:
        """Finds rows by the words of a text column, those with the highest BM25 score first.

        Args:
            column: the text column.
            words: words of which a row has some.
            phrases: runs of words that a row has as they are.
            limit: rows, at most.
            columns: names of the columns to give, beside `_score`.

        Returns:
            The rows; none where the words of the column were never indexed.

        Raises:
            IndexStoreError: the table cannot be read.
        """
        with reading(self.location):
            if not word_indexes(self._table, column):
                return self.schema.empty_table().select(list(columns))
            query = self._table.search(word_query(column, words, phrases), query_type="fts")
            return query.select([*columns, "_score"]).limit(limit).to_arrow()


def table_statistics(table: Table) -> Any:
    """Numbers of files and rows."""
    # Annotated as an object, but a mapping in fact.
    return table.stats()


def _sorted_by_row_id(table: pa.Table) -> tuple[pa.Table, npt.NDArray[np.uint64]]:
    row_ids = table["_rowid"].to_numpy()
    table = table.drop_columns(["_rowid"])
    if len(row_ids) > 1 and not (row_ids[1:] > row_ids[:-1]).all():
        order = np.argsort(row_ids)
        return table.take(pa.array(order)), row_ids[order]
    return table, row_ids
