"""The list of the videos that the files of cells hold: in which cell each is, where it lies, and digests.

It is written as a whole after the files that it names, so what a killed writer left counts for nothing.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from video_colbert.index.lance.mapped.mapped_rows import Keys

_FORMAT = 1
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class ListedPart:
    """Videos whose vectors lie in one file, in the order of cells.

    Attributes:
        file: its name; empty for no file.
        keys: of the videos, [n].
        offsets: int64 [C + 1], where each cell begins.
        digests: uint64 [C], XXH3 of the bytes of each cell's vectors.
    """

    file: str
    keys: Keys
    offsets: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class CellList:
    """What the files of one generation hold.

    Attributes:
        generation: begins the names of its files.
        layout: the levels with their dimensions, as text; of another layout nothing can be used.
        version: the latest version of the table whose videos are all there.
        width: numbers of a vector.
        fitted_digest: XXH3 (128 bits) of the file of axes and centroids.
        base: the videos that the cells were found for.
        added: those that came later.
    """

    generation: str
    layout: str
    version: int
    width: int
    fitted_digest: str
    base: ListedPart
    added: ListedPart

    @property
    def keys(self) -> Keys:
        """Of all videos, removed ones among them."""
        return np.concatenate([self.base.keys, self.added.keys])

    def write(self, file: Path) -> None:
        """Writes the list as a whole.

        Raises:
            OSError: it cannot be written; the earlier one stays.
        """
        parts = (self.base, self.added)
        header = {
            "format": _FORMAT,
            "generation": self.generation,
            "layout": self.layout,
            "version": self.version,
            "width": self.width,
            "fitted_digest": self.fitted_digest,
            "parts": [[part.file, len(part.keys)] for part in parts],
            "cells": len(self.base.digests),
        }
        arrays = [array for part in parts for array in (part.keys, part.offsets, part.digests)]
        content = json.dumps(header).encode() + b"\n" + b"".join(array.tobytes() for array in arrays)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}.unfinished")
        try:
            unfinished.write_bytes(content + xxhash.xxh3_128_digest(content))
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)

    @classmethod
    def read(cls, file: Path) -> CellList | None:
        """Reads a list; None where there is none, or one that is not what was written.

        Raises:
            OSError: it is there and cannot be read.
        """
        try:
            stored = memoryview(file.read_bytes())
        except FileNotFoundError:
            return None
        content = stored[:-_DIGEST_BYTES]
        if xxhash.xxh3_128_digest(content) != stored[-_DIGEST_BYTES:]:
            return None
        end_of_header = bytes(content[:65536]).index(b"\n") + 1
        header: Mapping[str, object] = json.loads(bytes(content[:end_of_header]))
        if header["format"] != _FORMAT:
            return None
        return cls._of(dict(header), np.frombuffer(content[end_of_header:], np.uint64))

    @classmethod
    def _of(cls, header: dict[str, object], numbers: npt.NDArray[np.uint64]) -> CellList:
        num_cells = int(str(header["cells"]))
        parts, first = [], 0
        listed = header["parts"]
        assert isinstance(listed, list)  # noqa: S101 - its digest is that of what `write` wrote
        for name, num_keys in listed:
            lengths = (num_keys, num_cells + 1, num_cells)
            borders = np.cumsum([first, *lengths])
            keys, offsets, digests = (numbers[begin:end] for begin, end in itertools.pairwise(borders))
            parts.append(ListedPart(name, keys, offsets.view(np.int64), digests))
            first = int(borders[-1])
        return cls(
            generation=str(header["generation"]),
            layout=str(header["layout"]),
            version=int(str(header["version"])),
            width=int(str(header["width"])),
            fitted_digest=str(header["fitted_digest"]),
            base=parts[0],
            added=parts[1],
        )
