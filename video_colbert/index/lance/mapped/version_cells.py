"""The cells of one version of an index, from mapped files that are made or added to when they are first wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import numpy as np
import torch
from filelock import Timeout

from video_colbert.index.lance.mapped.cell_cache import CellCache
from video_colbert.index.lance.mapped.cell_files import CellFiles, ReadFloats
from video_colbert.index.lance.mapped.cell_list import CellList
from video_colbert.index.lance.mapped.mapped_part import MappedPart
from video_colbert.index.lance.mapped.mapped_rows import Keys
from video_colbert.index.search.cells.video_cells import (
    DamagedCellsError,
    Rows,
    VideoCells,
    part_in_memory,
)

logger = logging.getLogger(__name__)

# Another process may replace the files each time between reading their list and mapping them.
_TRIES = 4


class VersionCells:
    """The cells of one version of an index.

    Args:
        cache: where the files are.
        version: the number of the version.
        read_keys: gives those of its videos, in the order of its rows.
        dimensions: numbers of a token by level.
        read: gives the float16 bags of some rows.
    """

    def __init__(
        self,
        cache: CellCache,
        version: int,
        read_keys: Callable[[], Keys],
        dimensions: Mapping[str, int],
        read: ReadFloats,
    ) -> None:
        self._cache = cache
        self._files = CellFiles(cache.folder)
        self._version = version
        self._read_keys = read_keys
        self._dimensions = dimensions
        self._read = read
        self._opened: tuple[str, VideoCells] | None = None
        self._is_usable = True
        # One thread opens the files.
        self._lock = threading.Lock()

    def cells(self, *, anew: bool = False) -> VideoCells | None:
        """The cells, which are made or added to if need be; None where they cannot be had.

        Args:
            anew: find other ones, for what the index holds now.

        Raises:
            IndexStoreError: the table, of which they are made, cannot be read.
        """
        with self._lock:
            if (self._opened is not None or not self._is_usable) and not anew:
                return None if self._opened is None else self._opened[1]
            keys = self._read_keys()
            if not len(keys) or len(np.unique(keys)) < len(keys):
                self._is_usable = False
                return None
            missed: CellList | None = None
            for _ in range(_TRIES):
                try:
                    listed = self._listed(keys, anew=anew)
                    self._opened = None if listed is None else self._open(listed, keys)
                    break
                except FileNotFoundError:
                    # Another process has replaced the files, or, if the list stays, somebody deleted some of them.
                    missed = self._discarded_incomplete(missed)
                    continue
                except Timeout:
                    # Another process makes them; the next search looks again.
                    return None
                except DamagedCellsError:
                    anew = False
                    self._say_damaged()
                    self._discard(None)
                except OSError as error:
                    self._cache.give_up(error.strerror or str(error))
                    break
            self._is_usable = self._opened is not None
            return None if self._opened is None else self._opened[1]

    def replace(self, cells: VideoCells) -> None:
        """Deletes files that are not what was written, unless another thread or process has."""
        with self._lock:
            if self._opened is None or self._opened[1] is not cells:
                return
            generation, _ = self._opened
            self._opened = None
            self._say_damaged()
            self._discard(generation)

    def _listed(self, keys: Keys, *, anew: bool) -> CellList | None:
        """The list of files to take, which are made or added to if need be; None where there are none to be had.

        Raises:
            Timeout: another process is making the first ones.
            DamagedCellsError: there are some, and they are not what was written.
            OSError: they cannot be read, or the first ones cannot be written.
        """
        files = self._files
        listed = files.read(self._dimensions)
        if not self._cache.can_write:
            return listed
        if listed is None or anew:
            try:
                return files.make(keys, self._version, self._dimensions, self._read)
            except Timeout:
                if listed is None:
                    raise
            except OSError as error:
                if listed is None:
                    raise
                self._cache.give_up(error.strerror or str(error))
        elif not np.isin(keys, listed.keys).all():
            try:
                extended = files.extend(keys, self._version, self._dimensions, self._read)
            except (Timeout, OSError) as error:
                # Those that are missing are held in memory meanwhile.
                if isinstance(error, FileNotFoundError):
                    raise
                if not isinstance(error, Timeout):
                    self._cache.give_up(error.strerror or str(error))
                return listed
            if extended is None:
                raise DamagedCellsError
            return extended
        return listed

    def _open(self, listed: CellList, keys: Keys) -> tuple[str, VideoCells]:
        """Maps files.

        Raises:
            DamagedCellsError: they are not what was written.
            OSError: they cannot be mapped.
        """
        files = self._files
        fitted = files.fitted(listed)
        if fitted is None:
            raise DamagedCellsError
        axes, centroids = fitted
        order = np.argsort(keys)
        parts = [
            MappedPart(files.folder, part, listed.width).cell_part(_rows_of(part.keys, keys, order))
            for part in (listed.base, listed.added)
            if part.file
        ]
        missing = np.flatnonzero(~np.isin(keys, listed.keys))
        if len(missing):
            parts.append(part_in_memory(axes, centroids, torch.from_numpy(missing), self._read))
        return listed.generation, VideoCells(axes, centroids, parts)

    def _discarded_incomplete(self, missed: CellList | None) -> CellList | None:
        """The list of files of which some are gone; they are deleted if it is the one that was missed before."""
        now = self._files.read(self._dimensions)
        if missed is None or now is None:
            return now
        if (now.generation, now.added.file) == (missed.generation, missed.added.file):
            self._discard(now.generation)
        return now

    def _discard(self, generation: str | None) -> None:
        try:
            self._files.discard(generation)
        except Timeout:
            # Another process is at it, as one that found the same.
            pass
        except OSError as error:
            self._cache.give_up(error.strerror or str(error))
            self._is_usable = False

    def _say_damaged(self) -> None:
        logger.warning("Files in %s are not what was written, and are used no more", self._cache.folder)


def _rows_of(among: Keys, keys: Keys, order: Rows) -> Rows:
    """The row of each of some keys, or -1.

    Args:
        among: keys of videos.
        keys: of the rows.
        order: sorts `keys`.
    """
    places = np.searchsorted(keys, among, sorter=order)
    rows = order[np.minimum(places, len(keys) - 1)]
    return np.where(keys[rows] == among, rows, -1)
