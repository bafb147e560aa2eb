"""Stretches encoded again, exactly: from the frame that is on show at the start to the last before the end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from video_colbert.excerpts.mp4_writer import SOUND_RATE, Mp4Writer
from video_colbert.excerpts.sound import StretchSound, sound_of
from video_colbert.excerpts.stretch import CutReport, Stretch
from video_colbert.processing.video_sources import VideoDecodingError, open_source
from video_colbert.processing.video_stream import OpenVideoFile

_EXACT_QUALITY, _PLAYABLE_QUALITY = 18, 23
# A picture that stays longer is shown again, so that the file is as long as the stretch.
_LONGEST_FRAME = 0.25


def encode_stretches(
    stretches: Sequence[Stretch], destination: Path, *, max_height: int | None, time_limit: float
) -> CutReport:
    """Writes stretches one after another into one mp4 file, as players show them.

    Frames of another shape than the first stretch's lie in the middle of black.

    Args:
        stretches: at least one.
        destination: the file, which is written over.
        max_height: height of the frames, at most; None for that of the first stretch.
        time_limit: seconds that decoding each may take.

    Raises:
        VideoDecodingError: a stretch cannot be decoded, or no frame is on show in it.
    """
    sounds = [sound_of(each) for each in stretches]
    has_sound = any(sound.samples is not None for sound in sounds)
    quality = _EXACT_QUALITY if max_height is None else _PLAYABLE_QUALITY
    written: list[Stretch] = []
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_opened(each.source, time_limit, stack)) for each in stretches]
        writer: Mp4Writer | None = None
        offset = 0.0
        for each, file, sound in zip(stretches, files, sounds, strict=True):
            if writer is None:
                size = _even_size(_shown_size(file, each), max_height)
                writer = stack.enter_context(Mp4Writer(destination, size, has_sound=has_sound, quality=quality))
            end = _write(writer, each, file, sound, offset, has_sound=has_sound)
            written.append(Stretch(each.source, each.start, end))
            offset += end - each.start
    problems = [
        f"{each.source}: {sound.problem}" for each, sound in zip(stretches, sounds, strict=True) if sound.problem
    ]
    return CutReport(str(destination), tuple(written), is_copy=False, problem="; ".join(problems) or None)


def _opened(source: str, time_limit: float, stack: contextlib.ExitStack) -> OpenVideoFile:
    return OpenVideoFile(stack.enter_context(open_source(source)), source, time_limit=time_limit)


def _write(
    writer: Mp4Writer, stretch: Stretch, file: OpenVideoFile, sound: StretchSound, offset: float, *, has_sound: bool
) -> float:
    """Writes one stretch behind what is there; returns where it ends in its video."""
    times, duration = file.frame_times()
    chosen = _on_show(times, duration, stretch, file.name)
    end = min(stretch.end, duration)
    if has_sound:
        length = round((offset + end - stretch.start) * SOUND_RATE) - round(offset * SOUND_RATE)
        samples = np.zeros((2, length), np.float32)
        if sound.samples is not None:
            samples[:, : sound.samples.shape[1]] = sound.samples[:, :length]
        writer.add_sound(samples, round(offset * SOUND_RATE))
    starts = np.maximum(times[chosen] - stretch.start, 0.0).tolist()
    ends = [*starts[1:], end - stretch.start]
    pending = list(zip(starts, ends, strict=True))

    def add(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        begins, stops = pending.pop(0)
        fitted = _fitted(pixels, writer.size)
        while True:
            is_long = stops - begins > _LONGEST_FRAME
            length = _LONGEST_FRAME / 2 if is_long else stops - begins
            writer.add_frame(fitted, offset + begins, length)
            if not is_long:
                break
            begins += length
        # Of a frame that is written nothing is held.
        return np.zeros(0, np.uint8)

    file.decode(lambda _times, _duration: chosen, prepare=add)
    return end


def _on_show(times: npt.NDArray[np.float64], duration: float, stretch: Stretch, name: str) -> npt.NDArray[np.int64]:
    """The frames that are on show in a stretch.

    Raises:
        VideoDecodingError: there is none.
    """
    first = max(int(np.searchsorted(times, stretch.start + 1e-6, side="right")) - 1, 0)
    last = int(np.searchsorted(times, stretch.end - 1e-6, side="left"))
    if last <= first or stretch.start >= duration:
        raise VideoDecodingError(
            name,
            f"no frame appears from {stretch.start:g} s to {stretch.end:g} s; its {len(times)} frames appear from "
            f"{times[0]:.3f} s to {times[-1]:.3f} s",
        )
    return np.arange(first, last)


def _shown_size(file: OpenVideoFile, stretch: Stretch) -> tuple[int, int]:
    """Width and height of a stretch's frames as players show them."""
    sizes: list[tuple[int, int]] = []

    def measure(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        sizes.append((pixels.shape[1], pixels.shape[0]))
        return np.zeros(0, np.uint8)

    file.decode(lambda times, duration: _on_show(times, duration, stretch, file.name)[:1], prepare=measure)
    return sizes[0]


def _even_size(size: tuple[int, int], max_height: int | None) -> tuple[int, int]:
    """A size that H.264 takes, no higher than asked, of the same shape."""
    width, height = size
    scale = 1.0 if max_height is None else min(1.0, max_height / height)
    return (max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2)))


def _fitted(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A frame of the shape of the file: as it is, or in the middle of black."""
    height, width = pixels.shape[:2]
    shape = size[0] / size[1]
    wide, high = max(width, round(height * shape)), max(height, round(width / shape))
    # A pixel more or less comes of even sizes.
    if wide - width <= max(2, width // 50) and high - height <= max(2, height // 50):
        return pixels
    framed = np.zeros((high, wide, 3), np.uint8)
    top, left = (high - height) // 2, (wide - width) // 2
    framed[top : top + height, left : left + width] = pixels
    return framed
