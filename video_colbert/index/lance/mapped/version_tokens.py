"""The tokens of one version of an index from mapped files, which are made or extended when they are first wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from filelock import Timeout

from video_colbert.index.lance.mapped.mapped_rows import Keys, MappedRows
from video_colbert.index.lance.mapped.mapped_tokens import DamagedTokensError, MappedTokens, bytes_of
from video_colbert.index.lance.mapped.token_files import ReadBags, TokenFiles

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.index.search.level_bags import LevelBags
    from video_colbert.index.search.quantized_bags import StoredBags

Found = TypeVar("Found")

logger = logging.getLogger(__name__)

# Another process may replace the files each time between reading their list and mapping them.
_TRIES = 4


class TokenCache:
    """The mapped files of an index as one process uses them; what it cannot write it says once.

    Args:
        files: the files.
    """

    def __init__(self, files: TokenFiles) -> None:
        self.files = files
        self.can_write = True

    def give_up(self, reason: str) -> None:
        """Writes no more, and says so the first time."""
        if self.can_write:
            logger.warning(
                "Searches read the index's own table, which is slower: files in %s cannot be written or mapped (%s)",
                self.files.folder,
                reason,
            )
        self.can_write = False


class VersionTokens:
    """The tokens of one version of an index, as they are stored.

    Args:
        cache: the mapped files.
        version: the number of the version.
        read_keys: gives those of its videos, in the order of its rows.
        make_empty: makes bags of no videos, with tokens as they are stored.
        read: gives the stored bags of some rows from the table.
    """

    def __init__(
        self,
        cache: TokenCache,
        version: int,
        read_keys: Callable[[], Keys],
        make_empty: Callable[[], LevelBags],
        read: ReadBags,
    ) -> None:
        self._cache = cache
        self._version = version
        self._read_keys = read_keys
        self._keys: Keys | None = None
        self._make_empty = make_empty
        self._read = read
        self._mapped: tuple[MappedTokens, npt.NDArray[np.int64]] | None = None
        self._is_usable = True
        # One thread opens the files.
        self._lock = threading.Lock()

    def bags(self, rows: Tensor) -> LevelBags | None:
        """The stored bags of some rows; None where they are to be read from the table.

        Raises:
            IndexStoreError: the table, of which the files are made, cannot be read.
        """
        return self._read_mapped(MappedTokens.bags, rows)

    def quantized_bags(self, rows: Tensor, levels: Collection[str]) -> Mapping[str, StoredBags] | None:
        """The int8 copies of the bags of some rows, by level; None where there are none.

        Args:
            rows: in any order.
            levels: that are wanted.

        Raises:
            IndexStoreError: as `bags`.
        """
        return self._read_mapped(lambda mapped, places: mapped.quantized_bags(places, levels), rows)

    def _read_mapped(
        self, read: Callable[[MappedTokens, npt.NDArray[np.int64]], Found | None], rows: Tensor
    ) -> Found | None:
        for _ in range(_TRIES):
            opened = self._open()
            if opened is None:
                return None
            mapped, places = opened
            try:
                return read(mapped, places[rows.numpy()])
            except DamagedTokensError:
                self._replace(mapped)
        return None

    def _open(self) -> tuple[MappedTokens, npt.NDArray[np.int64]] | None:
        with self._lock:
            if self._mapped is not None or not self._is_usable:
                return self._mapped
            is_busy = False
            if self._keys is None:
                self._keys = self._read_keys()
            # Two videos of one key could not be told apart; of a million, that happens once in 30 million indexes.
            if len(np.unique(self._keys)) == len(self._keys):
                for _ in range(_TRIES):
                    try:
                        self._mapped = self._try_to_open(self._keys)
                        break
                    except (FileNotFoundError, DamagedTokensError):
                        # Another process has replaced the files, or somebody deleted or cut them.
                        continue
                    except Timeout:
                        is_busy = True
                        break
                    except OSError as error:
                        self._cache.give_up(error.strerror or str(error))
                        break
            # Another process is making the files; the next search looks again.
            self._is_usable = self._mapped is not None or is_busy
            return self._mapped

    def _try_to_open(self, keys: Keys) -> tuple[MappedTokens, npt.NDArray[np.int64]] | None:
        """Maps the files, which are made or extended if need be; None where they cannot be.

        Raises:
            Timeout: another process is making them.
            FileNotFoundError: they were deleted as soon as they were made.
            DamagedTokensError: they were cut as soon as they were made.
            OSError: they cannot be read or written.
        """
        files, empty = self._cache.files, self._make_empty()
        rows = files.read(empty)
        mapped = None if rows is None else self._map(rows, empty)
        if rows is None or mapped is None or not files.is_enough(rows, keys, self._version):
            if self._cache.can_write:
                try:
                    rows = files.extend(keys, self._version, empty, self._read)
                    mapped = files.map(rows, empty)
                except FileNotFoundError:
                    raise
                except Timeout:
                    if rows is None or mapped is None or not np.isin(keys, rows.keys).all():
                        raise
                except OSError as error:
                    self._cache.give_up(error.strerror or str(error))
            # Files that hold too much that was removed do until somebody can make others.
            if rows is None or not np.isin(keys, rows.keys).all():
                return None
        return None if mapped is None else (mapped, _places(rows.keys, keys))

    def _map(self, rows: MappedRows, empty: LevelBags) -> MappedTokens | None:
        """Maps files; None where they are gone or too short."""
        try:
            return self._cache.files.map(rows, empty)
        except FileNotFoundError:
            return None
        except DamagedTokensError:
            self._say_damaged()
            return None

    def _replace(self, mapped: MappedTokens) -> None:
        """Deletes files that are not what was written, unless another thread or process has."""
        with self._lock:
            if self._mapped is None or self._mapped[0] is not mapped:
                return
            self._mapped = None
            self._say_damaged()
            try:
                self._cache.files.discard(mapped.generation)
            except Timeout:
                # Another process is at it, as one that found the same.
                pass
            except OSError as error:
                self._cache.give_up(error.strerror or str(error))
                self._is_usable = False

    def _say_damaged(self) -> None:
        logger.warning("Files in %s are not what was written, and are used no more", self._cache.files.folder)


def keys_of(ids: pa.ChunkedArray, pooled: Tensor, weights: Sequence[pa.ChunkedArray] = ()) -> Keys:
    """What tells the tokens of each video from all others: its id, the weights, and what its tokens give.

    Unlike row ids, these stay when Lance merges files, and are others when an index is made anew at the same address.

    Args:
        ids: of N videos.
        pooled: what their tokens give: pooled vectors, float16 [N, P].
        weights: of their tokens, a column a level with weights.
    """
    content = bytes_of(pooled)
    width = 2 * pooled.shape[1]
    digest = xxhash.xxh3_64_intdigest
    seeds = [digest(video_id.encode()) for video_id in ids.to_pylist()]
    for column in weights:
        seeds = [
            digest(np.asarray(of_video.values, np.float32).tobytes(), seed=seed)
            for seed, of_video in zip(seeds, column, strict=True)
        ]
    return np.array(
        [digest(content[row * width : (row + 1) * width], seed=seed) for row, seed in enumerate(seeds)], np.uint64
    )


def _places(among: Keys, keys: Keys) -> npt.NDArray[np.int64]:
    """Where keys stand among others, which hold them all."""
    order = np.argsort(among, kind="stable")
    return order[np.searchsorted(among, keys, sorter=order)]
