"""A Lance table in a folder or in object storage: commits for one writer, fixed versions for readers.

Every change is one Lance commit, which is there as a whole or not at all, also after `kill -9`. Readers work on a
version, which no later commit changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import lancedb
import pyarrow as pa
from lancedb.db import DBConnection
from lancedb.table import Table

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.commit_record import CommitLog
from video_colbert.index.lance.errors import reading, repeat_preempted, writing
from video_colbert.index.lance.operations.columns import is_in, try_columns, with_all_columns
from video_colbert.index.lance.operations.erasure import erase_rows
from video_colbert.index.lance.operations.making_tables import make_folder, make_table
from video_colbert.index.lance.storage import TABLE_NAME, is_remote, storage_options_of
from video_colbert.index.lance.table_version import TableVersion, table_statistics

logger = logging.getLogger(__name__)

# The format that reads token columns fastest: about 3 GB/s from the page cache, and 0.6 GB/s in 2.1 and 2.2.
_STORAGE_VERSION = "2.0"
# Commits of this process between two looks at whether small files have piled up.
_COMMITS_BETWEEN_CHECKS = 16
_MAX_FRAGMENTS = 32
# Versions that a running search may still read are younger than this.
_KEPT_VERSIONS = timedelta(hours=1)


class LanceTable:
    """A table of an index; that of the videos is made with `create` or `open`, and others `beside` it.

    Args:
        location: folder, or address in object storage.
        database: connection to it.
        table: the table, at its latest version.
        log: the record of its commits; None to check and record nothing.

    Attributes:
        name: of the table.
    """

    def __init__(self, location: str, database: DBConnection, table: Table, log: CommitLog | None) -> None:
        self.location = location
        self.name: str = table.name
        self._database = database
        self._table = table
        self._commits = 0
        self._log = log

    @classmethod
    def create(cls, location: str, schema: pa.Schema, storage_options: Mapping[str, str] | None = None) -> LanceTable:
        """Makes an empty table, and its folder if need be.

        Raises:
            IndexStoreError: the location cannot be written, or there is a table.
        """
        make_folder(location)
        with writing(location):
            database = _connect(location, storage_options)
            table = make_table(database, location, TABLE_NAME, schema)
        if table is None:
            raise IndexStoreError(f"there is an index in {location} already; open it or choose another folder")
        created = cls(location, database, table, CommitLog(location))
        created._record()
        return created

    @classmethod
    def open(
        cls, location: str, storage_options: Mapping[str, str] | None = None, *, is_checked: bool = True
    ) -> LanceTable:
        """Opens a table that is there.

        Args:
            location: folder, or address in object storage.
            storage_options: as LanceDB takes them.
            is_checked: whether its files must be those that were written, by the record of the last commit.

        Raises:
            IndexStoreError: the table cannot be read, or is not what was written.
        """
        log = CommitLog(location) if is_checked else None
        if log is not None:
            log.check_manifest(log.read())
        with reading(location):
            database = _connect(location, storage_options)
            return cls(location, database, database.open_table(TABLE_NAME), log)

    def beside(self, name: str, schema: pa.Schema | None = None) -> LanceTable | None:
        """Another table at the same place.

        Args:
            name: its name.
            schema: what to make it with where there is none; None to make none.

        Returns:
            The table; None where there is none and none is made.

        Raises:
            IndexStoreError: it cannot be read, is not what was written, or cannot be made.
        """
        log = None if self._log is None else CommitLog(self.location, name)
        with reading(self.location):
            is_there = name in self._database.list_tables().tables
        if not is_there and schema is None:
            return None
        if is_there:
            if log is not None:
                log.check_manifest(log.read())
            with reading(self.location):
                return LanceTable(self.location, self._database, self._database.open_table(name), log)
        with writing(self.location):
            # Another process may make it at the same time.
            table = make_table(self._database, self.location, name, schema) or self._database.open_table(name)
        made = LanceTable(self.location, self._database, table, log)
        made._record()
        return made

    def drop_beside(self, name: str) -> None:
        """Deletes another table at the same place, if there is one.

        Raises:
            IndexStoreError: it cannot be deleted.
        """
        with writing(self.location):
            if name in self._database.list_tables().tables:
                self._database.drop_table(name)
        if self._log is not None:
            CommitLog(self.location, name).forget()

    @property
    def schema(self) -> pa.Schema:
        """The schema of the version that was last looked at."""
        return self._table.schema

    def latest_version(self) -> int:
        """The number of the latest version, of any process.

        Raises:
            IndexStoreError: the table cannot be read, or its last commit is gone.
        """
        # Read first: a commit is recorded after it is there.
        record = None if self._log is None else self._log.read()
        with reading(self.location):
            self._table.checkout_latest()
            version = int(self._table.version)
        if self._log is not None:
            self._log.check_version(record, version)
        return version

    def at_version(self, version: int) -> TableVersion:
        """One version, for reading.

        Raises:
            IndexStoreError: the table cannot be read or is not what was written, or the version is gone.
        """
        if self._log is not None:
            self._log.check_data()
        with reading(self.location):
            table = self._database.open_table(self.name)
            table.checkout(version)
            rows = table.count_rows()
        if self._log is not None:
            self._log.check_rows(version, rows)
        return TableVersion(self.location, table)

    def num_bytes(self) -> int:
        """Size of all files of a folder, those of earlier versions included; of the latest version elsewhere.

        Raises:
            IndexStoreError: the table cannot be read.
        """
        if not is_remote(self.location):
            with reading(self.location):
                return sum(file.stat().st_size for file in Path(self.location).rglob("*") if file.is_file())
        return self.at_version(self.latest_version()).num_bytes()

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Adds columns that are null in the rows there are; one that another process added meanwhile is left.

        Raises:
            IndexStoreError: the table cannot be written, or one with these columns could not be read any more.
        """
        repeat_preempted(lambda: self._add_missing(fields))
        self._record()

    def _add_missing(self, fields: Sequence[pa.Field]) -> None:
        with writing(self.location):
            self._table.checkout_latest()
            missing = [column for column in fields if column.name not in self._table.schema.names]
        if missing:
            try_columns(self._table.schema, missing)
            with writing(self.location):
                self._table.add_columns(missing)

    def insert(self, rows: pa.Table, replaced_ids: Sequence[str] = ()) -> None:
        """Inserts rows whose `id` is not there yet, and deletes others, in one commit.

        Args:
            rows: columns that are left out are null.
            replaced_ids: rows to delete.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        with writing(self.location):
            self._table.checkout_latest()
            merge = self._table.merge_insert("id").when_not_matched_insert_all()
            if replaced_ids:
                merge = merge.when_not_matched_by_source_delete(is_in("id", replaced_ids))
            merge.execute(with_all_columns(rows, self._table.schema))
        self._after_commit()

    def replace(self, rows: pa.Table) -> None:
        """Inserts rows, each in place of one of the same `id` if there is one, in one commit.

        Args:
            rows: all columns, each `id` once.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        with writing(self.location):
            self._table.checkout_latest()
            merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            merge.execute(rows)
        self._after_commit()

    def set_text(self, column: str, values: Mapping[str, str]) -> None:
        """Sets a text column of some rows in one commit; rows that are not there are passed over.

        Args:
            column: its name.
            values: the new value by `id`.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        schema = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("id", column)])
        self.set_columns(pa.table([list(values), list(values.values())], schema=schema))

    def set_columns(self, rows: pa.Table) -> None:
        """Sets columns of some rows in one commit; rows that are not there are passed over.

        Args:
            rows: `id`, and the columns to set.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        with writing(self.location):
            self._table.checkout_latest()
            self._table.merge_insert("id").when_matched_update_all().execute(rows)
        self._after_commit()

    def set_field_metadata(self, column: str, values: Mapping[str, str]) -> None:
        """Sets what the schema says of a column.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        self.change(lambda table: table.update_field_metadata({"path": column, "metadata": dict(values)}))

    def delete(self, ids: Sequence[str]) -> None:
        """Deletes rows in one commit; those that are not there are passed over.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        with writing(self.location):
            self._table.checkout_latest()
            self._table.delete(is_in("id", ids))
        self._after_commit()

    def erase(self, ids: Sequence[str]) -> None:
        """Deletes rows with their bytes and all earlier versions; no other process may write or read meanwhile.

        Without ids, what rows that were deleted before left in the files goes, for which all others are written anew.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        self.change(lambda table: erase_rows(table, ids, is_in("id", ids)))

    def change(self, operation: Callable[[Table], object]) -> None:
        """Changes the table in a way of the caller's, which it makes of the latest version.

        Args:
            operation: takes LanceDB's table.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        with writing(self.location):
            self._table.checkout_latest()
            operation(self._table)
        self._record()

    def compact(self) -> None:
        """Merges small files and deletes versions older than an hour, beside readers and writers.

        Raises:
            IndexStoreError: the table cannot be written.
        """
        self.change(lambda table: table.optimize(cleanup_older_than=_KEPT_VERSIONS))

    def _record(self) -> None:
        """Records the last commit outside the table."""
        if self._log is not None:
            with reading(self.location):
                self._table.checkout_latest()
                self._log.write(int(self._table.version), self._table.count_rows())

    def _after_commit(self) -> None:
        self._record()
        self._commits += 1
        if self._commits % _COMMITS_BETWEEN_CHECKS:
            return
        try:
            if self._is_compaction_due():
                self.compact()
        except IndexStoreError as error:
            # The commit stands; merging can wait, and another process may be at it.
            logger.warning("Small files of the index were not merged: %s", error)

    def _is_compaction_due(self) -> bool:
        """Whether there are many files, and the small ones among them make a quarter of the largest.

        So each row is written anew a number of times that grows with the logarithm of the rows only.
        """
        with reading(self.location):
            fragments = table_statistics(self._table)["fragment_stats"]
        lengths = fragments["lengths"]
        rows = lengths["mean"] * fragments["num_fragments"]
        return bool(fragments["num_fragments"] >= _MAX_FRAGMENTS and rows >= 1.25 * lengths["max"])


def _connect(location: str, storage_options: Mapping[str, str] | None) -> DBConnection:
    options = {"new_table_data_storage_version": _STORAGE_VERSION, **(storage_options_of(storage_options) or {})}
    return lancedb.connect(location, storage_options=options)
