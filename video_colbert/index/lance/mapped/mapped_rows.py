"""The list of the videos whose tokens a mapped file holds: where each one's lie, and their digests.

It is written as a whole after the tokens, so what a killed writer left behind the last listed token counts for
nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

Keys = npt.NDArray[np.uint64]
"""What tells the tokens of one video from those of all others, [N]."""

_FORMAT = 1
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class LevelRows:
    """Where the tokens of one level lie, which stand in the order of the videos.

    Attributes:
        lengths: int64 [N], tokens of each video.
        digests: uint64 [N], XXH3 of their bytes.
    """

    lengths: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint64]

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """The first token of each video, and the end of the last one's, int64 [N + 1]."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])

    def followed_by(self, others: LevelRows) -> LevelRows:
        """These rows with others behind them."""
        return LevelRows(
            np.concatenate([self.lengths, others.lengths]), np.concatenate([self.digests, others.digests])
        )


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
        }
        arrays = [self.keys, *(part for level in self.levels.values() for part in (level.lengths, level.digests))]
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
        numbers = np.frombuffer(body, np.uint64).reshape(1 + 2 * len(layout), header["rows"])
        levels = {
            level: LevelRows(numbers[1 + 2 * number].view(np.int64), numbers[2 + 2 * number])
            for number, level in enumerate(layout)
        }
        return cls(header["generation"], layout, header["version"], numbers[0], levels)
