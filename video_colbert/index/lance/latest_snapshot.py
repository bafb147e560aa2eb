"""The latest version of an index for its readers, which move on to it with each call, and the searcher over it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from video_colbert.errors import IndexStoreError
from video_colbert.freed_memory import return_freed_memory
from video_colbert.index.lance.mapped.cell_cache import CellCache, cell_folder
from video_colbert.index.lance.mapped.token_files import TokenFiles, token_folder
from video_colbert.index.lance.mapped.version_tokens import TokenCache
from video_colbert.index.lance.schema import read_calibration
from video_colbert.index.lance.snapshot import IndexSnapshot
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import TokenCodec
from video_colbert.index.search.calibration import CELLS_LIMIT, EXACT_LIMIT

if TYPE_CHECKING:
    from video_colbert.index.search.searcher import Searcher

_Result = TypeVar("_Result")

# Float16 tokens that a search holds in memory at most, so that all videos are scored.
_MAX_HELD_BYTES = 2 * 2**30
# Versions that may vanish under a reader before it gives up.
_VERSIONS_TRIED = 5


class LatestSnapshot:
    """What readers of one process share: the snapshot of the latest version they saw, and the searcher over it.

    Args:
        table: the table of the index.
        codec: how its tokens are stored.
        hold_tokens: as `Searcher`.
    """

    def __init__(self, table: LanceTable, codec: TokenCodec, *, hold_tokens: bool) -> None:
        self._table = table
        self._codec = codec
        self._hold_tokens = hold_tokens
        folder = token_folder(table.location, table.name)
        self._cache = None if folder is None else TokenCache(TokenFiles(folder))
        cells = cell_folder(table.location, table.name)
        self._cells = None if cells is None else CellCache(cells)
        self._snapshot: IndexSnapshot | None = None
        self._searcher: Searcher | None = None
        self._was_just_read = False
        # One thread at a time reads a new version; searches run beside each other on what it read.
        self._lock = threading.Lock()

    @property
    def searcher(self) -> Searcher | None:
        """The searcher that was used last; None before the first search."""
        return self._searcher

    def read(self, reading: Callable[[IndexSnapshot], _Result]) -> _Result:
        """What `reading` makes of the latest version; of the next one, if a writer cleaned that one up meanwhile.

        Raises:
            IndexStoreError: the index cannot be read.
        """
        for _ in range(_VERSIONS_TRIED):
            version = self._table.latest_version()
            try:
                result = reading(self._snapshot_of(version))
                self._return_freed_memory()
                return result
            except IndexStoreError:
                if self._table.latest_version() == version:
                    raise
        return reading(self._snapshot_of(self._table.latest_version()))

    def searcher_of(self, snapshot: IndexSnapshot) -> Searcher:
        """The searcher over a version, with the calibration that is stored or was measured on an earlier one."""
        from video_colbert.index.lance.mapped.cell_files import CellFiles
        from video_colbert.index.search.searcher import Searcher

        with self._lock:
            earlier = self._searcher
            if earlier is None or earlier.source is not snapshot:
                calibration = read_calibration(snapshot.table.schema)
                if calibration is None and earlier is not None:
                    calibration = earlier.calibration
                self._searcher = Searcher(
                    snapshot,
                    exact_limit=_exact_limit(snapshot),
                    cells_limit=CELLS_LIMIT,
                    calibration=calibration,
                    hold_tokens=self._hold_tokens,
                )
                if self._searcher.is_exact and self._cache is not None:
                    # Left from when the index was larger; where they cannot be deleted, nobody uses them either.
                    with suppress(OSError):
                        self._cache.files.discard()
                        if self._cells is not None:
                            CellFiles(self._cells.folder).discard()
                return self._searcher
            return earlier

    def _return_freed_memory(self) -> None:
        """Gives back what reading a version, and opening files for it, left, once it was used the first time."""
        if self._was_just_read:
            self._was_just_read = False
            return_freed_memory()

    def _snapshot_of(self, version: int) -> IndexSnapshot:
        with self._lock:
            snapshot = self._snapshot
            if snapshot is None or snapshot.version < version:
                snapshot = IndexSnapshot(
                    self._table.at_version(version),
                    self._codec,
                    earlier=snapshot,
                    cache=self._cache,
                    cell_cache=self._cells,
                )
                self._snapshot = snapshot
                self._was_just_read = len(snapshot) > EXACT_LIMIT
            return snapshot


def is_searched_exactly(snapshot: IndexSnapshot) -> bool:
    """Whether a search scores all videos of a version, rather than candidates."""
    # Weights of tokens are scored by interactions that no candidates are found for.
    return bool(snapshot.weighted_levels) or len(snapshot) <= _exact_limit(snapshot)


def is_calibration_due(snapshot: IndexSnapshot) -> bool:
    """Whether a calibration would make searches of a version faster: there is none, or one of far fewer videos."""
    if not len(snapshot) or is_searched_exactly(snapshot):
        return False
    calibration = read_calibration(snapshot.table.schema)
    return calibration is None or calibration.is_outgrown(len(snapshot))


def _exact_limit(snapshot: IndexSnapshot) -> int:
    """The number of videos up to which all are scored."""
    # What does not fit is searched by candidates, and their tokens are read when wanted.
    return EXACT_LIMIT if snapshot.token_bytes() <= _MAX_HELD_BYTES else 0
