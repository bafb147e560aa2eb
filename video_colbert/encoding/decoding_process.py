"""What a decoding process does: it reads files, decodes clips and leaves their pixels in shared memory."""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.encoding.encoding_plan import ReadDigest, ReadScenes
from video_colbert.encoding.media_files import FileState, open_media, read_state, state_of_empty
from video_colbert.encoding.scene_changes import VideoScenes, find_scene_changes, find_stays
from video_colbert.encoding.shared_memory import SharedSlots
from video_colbert.processing import OpenVideoFile, VideoDecodingError
from video_colbert.processing.video_sources import may_pass

logger = logging.getLogger(__name__)

# Files that stay open between their digest and their last window.
_OPEN_FILES = 4
# A picture may stay for hours, as of a recording of sound with a still.
_MAX_SECONDS_A_FRAME = 86_400.0


@dataclass(frozen=True)
class DecodeInto:
    """Asks for the frames of a clip; the answer is a `ClipInSlot`.

    Attributes:
        clip: of a file, by its path or URL.
        slot: number of the slot that its pixels may fill.
    """

    clip: VideoClip
    slot: int


Question: TypeAlias = ReadDigest | ReadScenes | DecodeInto


@dataclass(frozen=True)
class ClipInSlot:
    """A decoded clip whose pixels are in shared memory, or here if they do not fit there.

    Attributes:
        shape: of the pixels, (T, 3, H, W).
        pixels: the pixels, or None if they are in the slot.
        timestamps: float64 [T], seconds.
        duration: of the whole video, in seconds.
        stored_range: as of [`DecodedClip`].
        frame_size: likewise.
    """

    shape: tuple[int, ...]
    pixels: npt.NDArray[np.uint8] | None
    timestamps: npt.NDArray[np.float64]
    duration: float
    stored_range: str | None
    frame_size: tuple[int, int] | None


Answer: TypeAlias = FileState | VideoScenes | ClipInSlot | BadVideo


def start_decoding(decoder: ClipDecoder, slots: SharedSlots) -> Callable[[Question], Answer]:
    """Prepares a process that decodes.

    Args:
        decoder: what decodes.
        slots: where pixels go.

    Returns:
        What answers a question; whatever is wrong with a file becomes a `BadVideo`.
    """
    # The other cores belong to the other decoders.
    torch.set_num_threads(1)
    return functools.partial(_answer, decoder, slots, _OpenFiles(decoder.decoding.max_pixels))


def decoded_clip(question: DecodeInto, answer: ClipInSlot, slots: SharedSlots) -> DecodedClip:
    """The clip that an answer speaks of; its pixels may lie in the slot, which is not to be used again meanwhile."""
    pixels = slots.pixels(question.slot, answer.shape) if answer.pixels is None else torch.from_numpy(answer.pixels)
    times, size = answer.timestamps, answer.frame_size
    return DecodedClip(question.clip, pixels, times, answer.duration, answer.stored_range, size)


def _answer(decoder: ClipDecoder, slots: SharedSlots, files: _OpenFiles, question: Question) -> Answer:
    source = str(question.clip.source) if isinstance(question, DecodeInto) else question.source
    try:
        if isinstance(question, ReadDigest):
            files.forget(source)
            if (empty := state_of_empty(source)) is not None:
                return empty
            state = read_state(source, files.file(source))
            return replace(state, frame_size=_frame_size(files, source)) if question.with_frame_size else state
        if isinstance(question, ReadScenes):
            return _scenes(files.video(source), question.longer_than)
        reads_open_videos = decoder.decoding.backend == "pyav"
        decoded = decoder.decode(question.clip, (files.video if reads_open_videos else files.file)(source))
    except VideoDecodingError as error:
        return BadVideo(source, error.reason, is_lasting=not may_pass(error))
    except OSError as error:
        return BadVideo(source, f"cannot be read: {error.strerror or error}", is_lasting=not may_pass(error))
    # A file from anywhere must not end a run of a million others, whatever a reader makes of it.
    except Exception as error:
        logger.debug("unexpected error while reading %s", source, exc_info=True)
        reason = f"cannot be read: {type(error).__name__}: {error}"
        return BadVideo(source, reason, is_lasting=not may_pass(error))
    if isinstance(decoded, BadVideo):
        return decoded
    shape, fits = tuple(decoded.pixels.shape), decoded.pixels.numel() <= slots.slot_bytes
    if fits:
        slots.pixels(question.slot, shape).copy_(decoded.pixels)
    pixels = None if fits else decoded.pixels.contiguous().numpy()
    return ClipInSlot(shape, pixels, decoded.timestamps, decoded.duration, decoded.stored_range, decoded.frame_size)


def _frame_size(files: _OpenFiles, source: str) -> tuple[int, int] | None:
    """Width and height of the frames of a video, by its first one; None where that cannot be decoded."""
    try:
        [frame] = files.video(source).decode(lambda _times, _duration: np.zeros(1, dtype=np.int64)).frames
    # The file itself was read; what is stored of it stays.
    except Exception:
        logger.debug("no frame of %s can be decoded", source, exc_info=True)
        return None
    return int(frame.shape[1]), int(frame.shape[0])


def _scenes(video: OpenVideoFile, longer_than: float | None) -> VideoScenes:
    duration = _believed_duration(video)
    stays = find_stays(*video.frame_times())
    if longer_than is None or duration <= longer_than:
        return VideoScenes(duration, stays=stays)
    return VideoScenes(duration, find_scene_changes(video, duration), stays)


def _believed_duration(video: OpenVideoFile) -> float:
    """How long a video lasts, in seconds.

    Raises:
        VideoDecodingError: its frames stay for more than a day each, so its times are wrong.
    """
    times, duration = video.frame_times()
    if duration > _MAX_SECONDS_A_FRAME * len(times):
        raise VideoDecodingError(
            video.name,
            f"its {len(times)} frames last {duration:.0f} s by its own account, which is not believed; index it as a "
            "whole, without windows",
        )
    return duration


class _OpenFiles:
    """The files used last, kept open: a URL is fetched once, and the packets of a long video are read once.

    Args:
        max_pixels: the most pixels that a frame may have.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
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
            videos.append(stack.enter_context(OpenVideoFile(file, source, max_pixels=self._max_pixels)))
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
