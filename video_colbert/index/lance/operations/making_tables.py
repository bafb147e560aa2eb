"""The making of tables, which several processes may begin at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pyarrow as pa
from filelock import FileLock
from lancedb.db import DBConnection
from lancedb.table import Table

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.storage import is_remote

_LOCK_FILE = "tables.lock"


def make_folder(location: str) -> None:
    """Makes the folder of an index if need be; object storage has none.

    Raises:
        IndexStoreError: it cannot be made.
    """
    if is_remote(location):
        return
    try:
        Path(location).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IndexStoreError(f"{location} cannot be made a folder ({error.strerror})") from error


def make_table(database: DBConnection, location: str, name: str, schema: pa.Schema) -> Table | None:
    """Makes an empty table where there is none; of several that do so at once, one makes it.

    LanceDB looks for a table and then writes one. If another was made in between, it becomes an earlier version of
    the one that is written, and what was added to it is gone. In a folder a lock keeps the two apart; in object
    storage the earlier version is put back.

    Args:
        database: connection to the location.
        location: folder, or address in object storage.
        name: of the table.
        schema: of its columns.

    Returns:
        The table; None where there is one already.

    Raises:
        IndexStoreError: the folder cannot be written.
    """
    with nullcontext() if is_remote(location) else _locked(location):
        if name in database.list_tables().tables:
            return None
        table = database.create_table(name, schema=schema)
        if table.version == 1:
            return table
        table.checkout(table.version - 1)
        table.restore()
        return None


@contextmanager
def _locked(location: str) -> Iterator[None]:
    lock = FileLock(Path(location) / _LOCK_FILE)
    try:
        lock.acquire()
    except OSError as error:
        raise IndexStoreError(f"{location} cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()
