"""Vectors of videos in a file that is mapped into memory, in the order of cells, with a digest of each cell."""

from __future__ import annotations

import itertools
import os
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from torch import Tensor

from video_colbert.index.lance.mapped.cell_list import ListedPart
from video_colbert.index.lance.mapped.mapped_tokens import bytes_of
from video_colbert.index.search.cells.video_cells import CellPart, DamagedCellsError, Rows

_BYTES_OF_NUMBER = 2


class MappedPart:
    """The vectors that a part of a list names.

    Args:
        folder: holds the file.
        part: what it holds.
        width: numbers of a vector.

    Raises:
        FileNotFoundError: the file is gone, as when another process has made the next one.
        DamagedCellsError: it is too short.
        OSError: it cannot be mapped.
    """

    def __init__(self, folder: Path, part: ListedPart, width: int) -> None:
        self._part = part
        self._bytes_of_vector = width * _BYTES_OF_NUMBER
        # It stays open, so that its length can be asked for after its name is gone.
        self._file = (folder / part.file).open("rb")
        self._check_length()
        numbers: npt.NDArray[np.float16] = np.zeros((0, width), np.float16)
        if len(part.keys):
            # Read only: of a mapping that could be written, the system wants to be able to hold a copy in memory.
            numbers = np.memmap(self._file, np.float16, mode="r", shape=(len(part.keys), width))
        with warnings.catch_warnings():
            # Nothing writes to it.
            warnings.filterwarnings("ignore", message=".*not writable")
            self.vectors: Tensor = torch.from_numpy(numbers)
        self._bytes = bytes_of(self.vectors) if len(part.keys) else memoryview(b"")

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def cell_part(self, rows: Rows) -> CellPart:
        """The part as a search takes it.

        Args:
            rows: the row of each of its videos, or -1.
        """
        return CellPart(self.vectors, self._part.offsets, rows, self.check)

    def check(self, cells: npt.NDArray[np.int64]) -> None:
        """Compares cells with their digests.

        Raises:
            DamagedCellsError: one is another one, or the file is too short.
        """
        # What was cut off ends the process when it is touched.
        self._check_length()
        begins = (self._part.offsets[cells] * self._bytes_of_vector).tolist()
        ends = (self._part.offsets[cells + 1] * self._bytes_of_vector).tolist()
        digest, content = xxhash.xxh3_64_intdigest, self._bytes
        found = [digest(content[begin:end]) for begin, end in zip(begins, ends, strict=True)]
        if not np.array_equal(np.array(found, np.uint64), self._part.digests[cells]):
            raise DamagedCellsError

    def _check_length(self) -> None:
        if os.fstat(self._file.fileno()).st_size < len(self._part.keys) * self._bytes_of_vector:
            raise DamagedCellsError


def cell_digests(vectors: Tensor, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """XXH3 of the bytes of each cell's vectors, uint64 [C].

    Args:
        vectors: float16 [n, R], in the order of cells.
        offsets: int64 [C + 1], where each begins among them.
    """
    content = bytes_of(vectors) if len(vectors) else memoryview(b"")
    borders = (offsets * vectors.shape[1] * _BYTES_OF_NUMBER).tolist()
    digest = xxhash.xxh3_64_intdigest
    return np.array([digest(content[b:e]) for b, e in itertools.pairwise(borders)], np.uint64)
