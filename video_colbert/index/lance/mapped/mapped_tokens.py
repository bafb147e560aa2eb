"""Tokens in files that are mapped into memory: processes share their pages, and what is not wanted is not read."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xxhash

from video_colbert.index.lance.mapped.mapped_rows import LevelRows, MappedRows

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.index.search.level_bags import LevelBags
    from video_colbert.index.search.token_bags import TokenBags


class DamagedTokensError(Exception):
    """Mapped tokens are not what was written."""


class MappedTokens:
    """The tokens of one generation, as they are stored in the table.

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
        self._levels = {
            level: _MappedLevel(tokens_file(folder, rows.generation, level), rows.levels[level], bags.tokens)
            for level, bags in empty.items()
        }

    def bags(self, places: npt.NDArray[np.int64]) -> LevelBags:
        """The bags of some videos, copied and compared with their digests.

        Args:
            places: where they stand among `MappedRows.keys`.

        Raises:
            DamagedTokensError: a digest is another one.
        """
        from video_colbert.index.search.level_bags import LevelBags

        return LevelBags({level: mapped.bags(places) for level, mapped in self._levels.items()})


def tokens_file(folder: Path, generation: str, level: str) -> Path:
    """The file of one level's tokens."""
    return folder / f"{generation}.{level}"


def bytes_of(vectors: Tensor) -> memoryview:
    """The bytes of a matrix, row after row."""
    import torch

    return vectors.contiguous().view(torch.uint8).numpy().reshape(-1).data


def digests_of(bags: TokenBags) -> npt.NDArray[np.uint64]:
    """XXH3 of the bytes of each bag, uint64 [N]."""
    content = bytes_of(bags.tokens)
    bytes_of_token = bags.dimension * bags.tokens.element_size()
    borders = (bags.offsets * bytes_of_token).tolist()
    digest = xxhash.xxh3_64_intdigest
    return np.array([digest(content[begin:end]) for begin, end in itertools.pairwise(borders)], np.uint64)


class _MappedLevel:
    """The tokens of one level."""

    def __init__(self, file: Path, rows: LevelRows, like: Tensor) -> None:
        self._rows = rows
        self._tokens: npt.NDArray[np.generic] = like.numpy()
        total, width = int(rows.offsets[-1]), like.shape[1]
        self._num_bytes = total * width * like.element_size()
        # It stays open, so that its length can be asked for after its name is gone.
        self._file = file.open("rb")
        self._check_length()
        if total:
            # Read only: of a mapping that could be written, the system wants to be able to hold a copy in memory.
            self._tokens = np.memmap(self._file, self._tokens.dtype, mode="r", shape=(total, width))

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def bags(self, places: npt.NDArray[np.int64]) -> TokenBags:
        import torch

        from video_colbert.index.search.token_bags import TokenBags

        # What was cut off ends the process when it is touched.
        self._check_length()
        lengths = torch.from_numpy(self._rows.lengths[places])
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shifts = (torch.from_numpy(self._rows.offsets[places]) - offsets[:-1]).repeat_interleave(lengths)
        wanted = (torch.arange(len(shifts)) + shifts).numpy()
        bags = TokenBags(torch.from_numpy(self._tokens.take(wanted, axis=0)), offsets)
        # The copy is compared, so that nothing can change between that and its use.
        if not np.array_equal(digests_of(bags), self._rows.digests[places]):
            raise DamagedTokensError
        return bags

    def _check_length(self) -> None:
        if os.fstat(self._file.fileno()).st_size < self._num_bytes:
            raise DamagedTokensError
