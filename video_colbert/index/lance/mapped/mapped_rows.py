"""The list of the videos whose tokens a mapped file holds: where each one's lie, and their digests.

It is written as a whole after the tokens, so what a killed writer left behind the last listed token counts for
nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

Keys = npt.NDArray[np.uint64]
"""What tells the tokens of one video from those of all others, [N]."""

_FORMAT = 2
_DIGEST_BYTES = 16
# 64-bit numbers of a video on a level: length and digest; with int8 copies their digest and bounds, too.
_NUMBERS, _NUMBERS_WITH_COPIES = 2, 5


@dataclass(frozen=True)
class QuantizedRows:
    """What the list holds of the int8 copies of one level's tokens; their values are in a file of their own.

    Attributes:
        digests: uint64 [N], XXH3 of the values of each video.
        bounds: float32 [N, 4], the scale, the largest norm and the largest loss of each video's tokens, as
            `StoredBags` has them; and 0, which fills them up to two numbers of 64 bits in the list.
    """

    digests: npt.NDArray[np.uint64]
    bounds: npt.NDArray[np.float32]


@dataclass(frozen=True)
class LevelRows:
    """Where the tokens of one level lie, which stand in the order of the videos.

    Attributes:
        lengths: int64 [N], tokens of each video.
        digests: uint64 [N], XXH3 of their bytes.
        quantized: what is known of their int8 copies; None where there are none.
    """

    lengths: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint64]
    quantized: QuantizedRows | None = None

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """The first token of each video, and the end of the last one's, int64 [N + 1]."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])

    @classmethod
    def concatenate(cls, parts: Sequence[LevelRows]) -> LevelRows:
        """The rows of several parts, at least one, all or none with copies, one part after another."""
        lengths = np.concatenate([part.lengths for part in parts])
        digests = np.concatenate([part.digests for part in parts])
        copies = [part.quantized for part in parts if part.quantized is not None]
        quantized = None
        if copies:
            quantized = QuantizedRows(
                np.concatenate([part.digests for part in copies]), np.concatenate([part.bounds for part in copies])
            )
        return cls(lengths, digests, quantized)

    def numbers(self) -> npt.NDArray[np.uint64]:
        """All of it, uint64 [2 or 5, N]."""
        parts = [self.lengths.view(np.uint64)[None], self.digests[None]]
        if self.quantized is not None:
            parts += [self.quantized.digests[None], self.quantized.bounds.view(np.uint64).T]
        return np.concatenate(parts)

    @classmethod
    def of_numbers(cls, numbers: npt.NDArray[np.uint64]) -> LevelRows:
        """The inverse of `numbers`."""
        quantized = None
        if len(numbers) > _NUMBERS:
            quantized = QuantizedRows(numbers[2], np.ascontiguousarray(numbers[3:].T).view(np.float32))
        return cls(numbers[0].view(np.int64), numbers[1], quantized)


@dataclass(frozen=True)
class MappedRows:
    """What the mapped files of one generation hold.

    Attributes:
        generation: begins the names of its files.
        layout: what a token is, by level, as text; of another layout nothing can be used.
        version: the latest version of the table whose tokens are all there.
        keys: of the videos, removed ones among them, in the order of their tokens.
        levels: where they lie, by level.
    """

    generation: str
    layout: Mapping[str, str]
    version: int
    keys: Keys
    levels: Mapping[str, LevelRows]

    @property
    def has_copies(self) -> bool:
        """Whether int8 copies of the tokens are there too."""
        return all(rows.quantized is not None for rows in self.levels.values())

    def write(self, file: Path) -> None:
        """Writes the list as a whole.

        Raises:
            OSError: it cannot be written; the earlier one stays.
        """
        header = {
            "format": _FORMAT,
            "generation": self.generation,
            "layout": dict(self.layout),
            "version": self.version,
            "rows": len(self.keys),
            "has_copies": self.has_copies,
        }
        arrays = [self.keys, *(level.numbers() for level in self.levels.values())]
        content = json.dumps(header).encode() + b"\n" + b"".join(array.tobytes() for array in arrays)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}.unfinished")
        try:
            unfinished.write_bytes(content + xxhash.xxh3_128_digest(content))
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)

    @classmethod
    def read(cls, file: Path) -> MappedRows | None:
        """Reads a list; None where there is none, or one that is not what was written.

        Raises:
            OSError: it is there and cannot be read.
        """
        try:
            stored = file.read_bytes()
        except FileNotFoundError:
            return None
        content = stored[:-_DIGEST_BYTES]
        if xxhash.xxh3_128_digest(content) != stored[-_DIGEST_BYTES:]:
            return None
        head, _, body = content.partition(b"\n")
        header = json.loads(head)
        if header["format"] != _FORMAT:
            return None
        layout: dict[str, str] = header["layout"]
        each = _NUMBERS_WITH_COPIES if header["has_copies"] else _NUMBERS
        numbers = np.frombuffer(body, np.uint64).reshape(1 + each * len(layout), header["rows"])
        levels = {
            level: LevelRows.of_numbers(numbers[1 + each * number : 1 + each * (number + 1)])
            for number, level in enumerate(layout)
        }
        return cls(header["generation"], layout, header["version"], numbers[0], levels)
