"""Memory that decoding processes fill and the encoding process reads, in slots of one clip each."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
import torch
from torch import Tensor


class SharedSlots:
    """Slots that each take the pixels of one clip; travels to processes that start.

    On Linux they lie in memory of their own rather than in /dev/shm, which is small in containers and may be filled
    by others; what does not fit there kills the process that writes it.

    Args:
        number: of slots.
        slot_bytes: of each slot; 0 if the clips' size is not known, so that none fits.
    """

    def __init__(self, number: int, slot_bytes: int) -> None:
        self.slot_bytes = slot_bytes
        size = max(number * slot_bytes, 1)
        file = _new_memory_file()
        os.ftruncate(file, size)
        self._attach(file, size)

    def pixels(self, slot: int, shape: tuple[int, ...]) -> Tensor:
        """A uint8 tensor of a shape over the start of a slot."""
        start, size = slot * self.slot_bytes, int(np.prod(shape))
        return torch.from_numpy(np.frombuffer(self._memory, np.uint8, size, start)).view(shape)

    def close(self) -> None:
        """Gives the memory back once no tensor over it is left."""
        os.close(self._file)

    def __getstate__(self) -> dict[str, Any]:
        return {"slot_bytes": self.slot_bytes, "file": DupFd(self._file), "size": len(self._memory)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.slot_bytes = state["slot_bytes"]
        self._attach(state["file"].detach(), state["size"])

    def _attach(self, file: int, size: int) -> None:
        self._file = file
        self._memory = mmap.mmap(file, size)


def _new_memory_file() -> int:
    """The descriptor of an empty file without a name."""
    if sys.platform == "linux":
        return os.memfd_create("video-colbert-clips")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
