"""Re-encoded copies of videos: small, and fast to seek in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from video_colbert.processing.video_containers import main_video_stream, open_container

from .shown_frames import ShownFrames

_H264_OPTIONS = {"preset": "veryfast", "crf": "20", "threads": "1"}


@dataclass(frozen=True)
class Reencoding:
    """How videos are re-encoded: H.264 without sound, upright, a keyframe at least every second for fast seeking.

    Attributes:
        short_side: Length of the shorter side in pixels; smaller videos stay as they are. None keeps the size.
        fps: Frames a second, never more than the video has. None keeps the frames.
    """

    short_side: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: A field is out of its range.
        """
        if self.short_side is not None and self.short_side < 16:
            raise ValueError(f"short_side must be at least 16 pixels, got {self.short_side}")
        if self.fps is not None and not 0 < self.fps <= 240:
            raise ValueError(f"fps must lie between 0 and 240, got {self.fps}")


def write_copy(path: Path, target: Path, reencoding: Reencoding, duration: float) -> None:
    """Re-encodes a video; the copy appears only when it is whole.

    Args:
        path: The video.
        target: Where the copy goes; its folder is made if need be.
        reencoding: How to re-encode.
        duration: Of the video, in seconds.

    Raises:
        OSError: The copy cannot be written.
        VideoDecodingError: The video cannot be read.
        av.FFmpegError: A frame cannot be decoded or encoded.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    source_rate = _source_rate(path)
    resampled = reencoding.fps is not None and reencoding.fps < source_rate
    rate = Fraction(reencoding.fps).limit_denominator(1001) if resampled and reencoding.fps else source_rate
    # Without resampling, irregular times stay as they are, to a tenth of a millisecond.
    clock = 1 / rate if resampled else Fraction(1, 10_000)
    try:
        _write_copy(path, unfinished, reencoding, rate, clock, duration if resampled else None)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_copy(
    path: Path, target: Path, reencoding: Reencoding, rate: Fraction, clock: Fraction, duration: float | None
) -> None:
    """Writes the copy of a video; with a duration at a fixed rate, else with the video's own times."""
    with av.open(str(target), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=_H264_OPTIONS)
        stream.pix_fmt = "yuv420p"
        stream.gop_size = max(1, round(rate))
        stream.codec_context.time_base = clock
        frames = _at_own_times(path) if duration is None else _at_fixed_rate(path, rate, duration)
        last_pts = -1
        for pixels, pts in frames:
            height, width = _scaled_size(pixels.shape[0], pixels.shape[1], reencoding.short_side)
            picture = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                width, height, "yuv420p", interpolation="BICUBIC", threads=1
            )
            if last_pts < 0:
                stream.width, stream.height = width, height
            elif (stream.width, stream.height) != (width, height):
                picture = picture.reformat(stream.width, stream.height)
            picture.pts = last_pts = max(pts, last_pts + 1)
            picture.time_base = clock
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _source_rate(path: Path) -> Fraction:
    with open_container(str(path), str(path)) as container:
        stream = main_video_stream(container, str(path))
        return stream.average_rate or stream.guessed_rate or Fraction(25)


def _at_own_times(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    frames = ShownFrames(path)
    for frame, time in frames:
        yield frames.picture(frame), round(time * 10_000)


def _at_fixed_rate(path: Path, rate: Fraction, duration: float) -> Iterator[tuple[np.ndarray, int]]:
    """Yields what is on the screen at each tick."""
    frames = ShownFrames(path)
    shown: np.ndarray | None = None
    tick = 0
    for frame, time in frames:
        while shown is not None and tick / rate < time:
            yield shown, tick
            tick += 1
        shown = frames.picture(frame)
    while shown is not None and (tick == 0 or tick / rate < duration):
        yield shown, tick
        tick += 1


def _scaled_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width after scaling down to a short side; H.264 wants them even."""
    scale = 1.0 if short_side is None else min(1.0, short_side / min(height, width))
    return max(2, 2 * round(height * scale / 2)), max(2, 2 * round(width * scale / 2))
