"""Rows that leave a Lance table with their bytes: nothing of them stays in its files or in earlier versions.

A delete only marks rows in the file that holds them, and merging files rewrites those in which many are marked. So
the rows that share a file with the deleted ones are written anew, which leaves their file without rows, and all
versions but the last are deleted with what only they hold.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from lancedb.table import Table

# Rows that are written anew at once; a row is some ten kilobytes.
_ROWS_AT_ONCE = 2048
# The upper half of a row id says in which fragment the row is.
_BITS_OF_OFFSET = np.uint64(32)


def erase_rows(table: Table, ids: Sequence[str], where: str) -> None:
    """Deletes rows so that no file holds their bytes; no other process may write meanwhile.

    Args:
        table: at its latest version.
        ids: of the rows; those that are not there are passed over. Without any, all rows are written anew, since a
            file does not tell which rows were deleted from it before.
        where: the SQL condition that holds of these rows.
    """
    before = table.search().select(["id"]).with_row_id(True).limit(None).to_arrow()
    fragments = before["_rowid"].to_numpy() >> _BITS_OF_OFFSET
    is_erased = np.isin(before["id"].to_numpy(zero_copy_only=False), np.array(ids, dtype=object))
    beside = np.isin(fragments, np.unique(fragments[is_erased])) & ~is_erased if ids else ~is_erased
    row_ids = before["_rowid"].to_numpy()[beside]
    for first in range(0, len(row_ids), _ROWS_AT_ONCE):
        rows = table.take_row_ids(row_ids[first : first + _ROWS_AT_ONCE].tolist()).to_arrow()
        table.merge_insert("id").when_matched_update_all().execute(rows.select(table.schema.names))
        table.checkout_latest()
    if ids:
        table.delete(where)
    # The last version keeps the condition that it was made by, in which the ids stand.
    table.delete("`id` = ''")
    with warnings.catch_warnings():
        # That no other process may be at work is said above.
        warnings.filterwarnings("ignore", message=".*cleanup_older_than=0")
        table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
