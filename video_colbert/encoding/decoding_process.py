"""What a decoding process does: it reads files, decodes clips and leaves their pixels in shared memory."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from video_colbert.encoding.clip_decoding import ClipDecoder
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.encoding.media_files import content_digest, open_media
from video_colbert.processing import OpenVideoFile, VideoDecodingError

# Files that stay open between their digest and their last window.
_OPEN_FILES = 4


@dataclass(frozen=True)
class ReadDigest:
    """Asks for the SHA-256 of a file; the answer is a string."""

    source: str


@dataclass(frozen=True)
class ReadDuration:
    """Asks for the length of a video; the answer is a number of seconds."""

    source: str


@dataclass(frozen=True)
class DecodeClip:
    """Asks for the frames of a clip; the answer is a `ClipInSlot`.

    Attributes:
        source: the file.
        start: start of the window in seconds, or None.
        end: end of the window in seconds, or None.
    """

    source: str
    start: float | None = None
    end: float | None = None


Task: TypeAlias = ReadDigest | ReadDuration | DecodeClip


@dataclass(frozen=True)
class ClipInSlot:
    """A decoded clip whose pixels are in shared memory, or here if they do not fit there.

    Attributes:
        shape: of the pixels, (T, 3, H, W).
        pixels: the pixels, or None if they are in the slot.
        timestamps: float64 [T], seconds.
        duration: of the whole video, in seconds.
    """

    shape: tuple[int, ...]
    pixels: npt.NDArray[np.uint8] | None
    timestamps: npt.NDArray[np.float64]
    duration: float


Answer: TypeAlias = str | float | ClipInSlot | BadVideo


@dataclass(frozen=True)
class SharedSlots:
    """Memory shared between processes, in slots that each take the pixels of one clip.

    Attributes:
        memory: of all slots.
        slot_bytes: of each slot; 0 if the clips' size is not known, so that none fits.
    """

    memory: ctypes.Array[ctypes.c_ubyte]
    slot_bytes: int

    def pixels(self, slot: int, shape: tuple[int, ...]) -> Tensor:
        """A uint8 tensor of a shape over the start of a slot."""
        start, size = slot * self.slot_bytes, int(np.prod(shape))
        return torch.from_numpy(np.frombuffer(memoryview(self.memory), np.uint8, size, start)).view(shape)


def run_decoding_process(connection: Connection, decoder: ClipDecoder, slots: SharedSlots) -> None:
    """Answers tasks until the connection closes; runs in a process of its own.

    Says "ready" first. Each task comes with the slot that it may fill.

    Args:
        connection: where (task, slot) come from and answers go to.
        decoder: what decodes.
        slots: where pixels go.
    """
    # Ctrl-C reaches all processes of a terminal; the parent says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    # The other cores belong to the other decoders.
    torch.set_num_threads(1)
    files = _OpenFiles()
    try:
        connection.send("ready")
        while True:
            task, slot = connection.recv()
            connection.send(_answer(task, slot, decoder, slots, files))
    except (EOFError, ConnectionError):
        return


def _exit_with_parent() -> None:
    """Ends the process when its parent is gone, even in the middle of a file that hangs."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(task: Task, slot: int, decoder: ClipDecoder, slots: SharedSlots, files: _OpenFiles) -> Answer:
    try:
        if isinstance(task, ReadDigest):
            files.forget(task.source)
            return content_digest(files.file(task.source))
        if isinstance(task, ReadDuration):
            return files.video(task.source).duration()
        clip = VideoClip(task.source, task.start, task.end)
        reads_open_videos = decoder.video_processor.backend == "pyav"
        decoded = decoder.decode(clip, (files.video if reads_open_videos else files.file)(task.source))
    except VideoDecodingError as error:
        return BadVideo(task.source, error.reason)
    except OSError as error:
        return BadVideo(task.source, f"cannot be read: {error.strerror or error}")
    if isinstance(decoded, BadVideo):
        return decoded
    shape, fits = tuple(decoded.pixels.shape), decoded.pixels.numel() <= slots.slot_bytes
    if fits:
        slots.pixels(slot, shape).copy_(decoded.pixels)
    pixels = None if fits else decoded.pixels.contiguous().numpy()
    return ClipInSlot(shape, pixels, decoded.timestamps, decoded.duration)


class _OpenFiles:
    """The files used last, kept open: a URL is fetched once, and the packets of a long video are read once."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[ExitStack, str | BinaryIO, list[OpenVideoFile]]] = OrderedDict()

    def file(self, source: str) -> str | BinaryIO:
        """A local path or an open file.

        Raises:
            VideoDecodingError: as `open_media`.
        """
        return self._opened(source)[1]

    def video(self, source: str) -> OpenVideoFile:
        """The open video.

        Raises:
            VideoDecodingError: the file is no video or is truncated.
        """
        stack, file, videos = self._opened(source)
        if not videos:
            videos.append(stack.enter_context(OpenVideoFile(file, source)))
        return videos[0]

    def forget(self, source: str) -> None:
        """Closes a file, so that what is there now is read next."""
        if source in self._files:
            self._files.pop(source)[0].close()

    def _opened(self, source: str) -> tuple[ExitStack, str | BinaryIO, list[OpenVideoFile]]:
        if source not in self._files:
            while len(self._files) >= _OPEN_FILES:
                self._files.popitem(last=False)[1][0].close()
            stack = ExitStack()
            self._files[source] = (stack, stack.enter_context(open_media(source)), [])
        self._files.move_to_end(source)
        return self._files[source]
