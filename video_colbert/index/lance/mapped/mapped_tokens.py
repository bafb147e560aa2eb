"""Tokens in files that are mapped into memory: processes share their pages, and what is not wanted is not read."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xxhash

from video_colbert.index.lance.mapped.mapped_rows import MappedRows

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.index.search.level_bags import LevelBags
    from video_colbert.index.search.quantized_bags import StoredBags


class DamagedTokensError(Exception):
    """Mapped tokens are not what was written."""


class MappedTokens:
    """The tokens of one generation, as they are stored in the table, and where there are any their int8 copies.

    Args:
        folder: holds the files.
        rows: what they hold.
        empty: bags of no videos, whose tokens are of the type and width of the stored ones.

    Raises:
        FileNotFoundError: a file is gone, as when another process has made the next generation.
        DamagedTokensError: a file is too short.
        OSError: a file cannot be mapped.
    """

    def __init__(self, folder: Path, rows: MappedRows, empty: LevelBags) -> None:
        self.generation = rows.generation
        self._levels = {}
        self._copies = {}
        for level, bags in empty.items():
            of_level, like = rows.levels[level], bags.tokens.numpy()
            file, width = tokens_file(folder, rows.generation, level), like.shape[1]
            self._levels[level] = _MappedMatrix(file, of_level.offsets, of_level.digests, like.dtype, width)
            if (copies := of_level.quantized) is not None:
                file = copies_file(folder, rows.generation, level)
                matrix = _MappedMatrix(file, of_level.offsets, copies.digests, np.dtype(np.int8), width)
                self._copies[level] = (matrix, copies.bounds[:, :3].copy())

    def bags(self, places: npt.NDArray[np.int64]) -> LevelBags:
        """The bags of some videos, copied and compared with their digests.

        Args:
            places: where they stand among `MappedRows.keys`.

        Raises:
            DamagedTokensError: a digest is another one.
        """
        from video_colbert.index.search.level_bags import LevelBags
        from video_colbert.index.search.token_bags import TokenBags

        return LevelBags({level: TokenBags(*matrix.taken(places)) for level, matrix in self._levels.items()})

    def quantized_bags(self, places: npt.NDArray[np.int64], levels: Collection[str]) -> dict[str, StoredBags] | None:
        """The int8 copies of the bags of some videos, copied and compared likewise; None where there are none.

        Args:
            places: as `bags`.
            levels: that are wanted.

        Raises:
            DamagedTokensError: as `bags`.
        """
        if not self._copies:
            return None
        return {level: _stored(*self._copies[level], places) for level in levels}


def tokens_file(folder: Path, generation: str, level: str) -> Path:
    """The file of one level's tokens."""
    return folder / f"{generation}.{level}"


def copies_file(folder: Path, generation: str, level: str) -> Path:
    """The file of the int8 copies of one level's tokens."""
    return folder / f"{generation}.{level}.int8"


def bytes_of(vectors: Tensor) -> memoryview:
    """The bytes of a matrix, row after row."""
    import torch

    # Flat first: without rows the strides, which come from numpy, may be 0, and no other type is viewed then.
    return vectors.contiguous().reshape(-1).view(torch.uint8).numpy().data


def digests_of(vectors: Tensor, offsets: Tensor) -> npt.NDArray[np.uint64]:
    """XXH3 of the bytes of each bag, uint64 [N].

    Args:
        vectors: [total, D], the bags one after another.
        offsets: int64 [N + 1], where each begins and the last ends.
    """
    content = bytes_of(vectors)
    borders = (offsets * (vectors.shape[1] * vectors.element_size())).tolist()
    digest = xxhash.xxh3_64_intdigest
    return np.array([digest(content[begin:end]) for begin, end in itertools.pairwise(borders)], np.uint64)


class _MappedMatrix:
    """Rows of numbers, some a video, end to end in a file."""

    def __init__(
        self,
        file: Path,
        offsets: npt.NDArray[np.int64],
        digests: npt.NDArray[np.uint64],
        dtype: np.dtype[np.generic],
        width: int,
    ) -> None:
        import torch

        self._offsets = offsets
        # A copy, for the array is part of all that the list holds.
        self._digests = digests.copy()
        numbers: npt.NDArray[np.generic] = np.zeros((0, width), dtype)
        total = int(offsets[-1])
        self._num_bytes = total * width * dtype.itemsize
        # It stays open, so that its length can be asked for after its name is gone.
        self._file = file.open("rb")
        self._check_length()
        if total:
            # Read only: of a mapping that could be written, the system wants to be able to hold a copy in memory.
            numbers = np.memmap(self._file, dtype, mode="r", shape=(total, width))
        # Once, while no other thread opens files: filters of warnings are those of all threads.
        with warnings.catch_warnings():
            # Nothing writes to it.
            warnings.filterwarnings("ignore", message=".*not writable")
            self._numbers = torch.from_numpy(numbers)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def taken(self, places: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The numbers of some videos [total, D], and their offsets, int64 [n + 1]."""
        import torch

        # What was cut off ends the process when it is touched.
        self._check_length()
        begins = self._offsets[places]
        lengths = torch.from_numpy(self._offsets[places + 1] - begins)
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        taken = _runs(self._numbers, torch.from_numpy(begins), lengths)
        # The copy is compared, so that nothing can change between that and its use.
        if not np.array_equal(digests_of(taken, offsets), self._digests[places]):
            raise DamagedTokensError
        return taken, offsets

    def _check_length(self) -> None:
        if os.fstat(self._file.fileno()).st_size < self._num_bytes:
            raise DamagedTokensError


def _runs(numbers: Tensor, begins: Tensor, lengths: Tensor) -> Tensor:
    """Runs of rows of a matrix, copied one behind another.

    Args:
        numbers: [total, D].
        begins: int64 [n], the first row of each run.
        lengths: int64 [n], rows of each.
    """
    import torch

    total, width = numbers.shape
    length = int(lengths[0]) if len(lengths) else 0
    if length and (lengths == length).all():
        # Runs are copied as a whole, which takes a third of the time that row by row does.
        every_run = numbers.as_strided((total - length + 1, length * width), (width, 1))
        return every_run.index_select(0, begins).view(-1, width)
    shifts = (begins - lengths.cumsum(0) + lengths).repeat_interleave(lengths)
    return numbers.index_select(0, torch.arange(len(shifts)) + shifts)


def _stored(matrix: _MappedMatrix, bounds: npt.NDArray[np.float32], places: npt.NDArray[np.int64]) -> StoredBags:
    import torch

    from video_colbert.index.search.quantized_bags import StoredBags

    values, offsets = matrix.taken(places)
    scales, norms, losses = torch.from_numpy(bounds[places]).T.contiguous()
    return StoredBags(values, scales, offsets, norms, losses)
