"""All files that are derived from a table, deleted together where something of the table is to leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from video_colbert.index.lance.mapped.cell_files import discard_cells
from video_colbert.index.lance.mapped.token_files import discard_tokens
from video_colbert.index.lance.storage import TABLE_NAME


@contextmanager
def without_derived_files(location: str, table: str = TABLE_NAME) -> Iterator[None]:
    """Deletes the mapped tokens and the cells of a table before and after rows are erased from it.

    Before, since what is erased cannot be named again if a file cannot be deleted; after, since a search may have made
    them again meanwhile, of the version that held the rows. No search can from then on, as that version is gone.

    Args:
        location: folder or address of the index.
        table: name of the table.

    Raises:
        IndexStoreError: they cannot be deleted.
    """
    discard_tokens(location, table)
    discard_cells(location, table)
    yield
    discard_tokens(location, table)
    discard_cells(location, table)
