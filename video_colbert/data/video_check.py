"""Decodes one video from end to end, says what it is, and re-encodes it if asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from video_colbert.processing import VideoDecodingError, decode_video

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


@dataclass(frozen=True)
class VideoRecord:
    """What is known of one video file.

    Attributes:
        path: Path below the folder.
        size: Size in bytes.
        modified_ns: Time of the last change, in nanoseconds.
        error: Why it cannot be used; None for a good video, and the fields below are None for a bad one.
        frames: Number of frames that decode.
        duration: Length in seconds.
        fps: Frames a second, on average.
        width: Width in pixels, upright.
        height: Height in pixels, upright.
        codec: Name of the codec.
        reencoding: How it was re-encoded, if it was.
    """

    path: str
    size: int
    modified_ns: int
    error: str | None = None
    frames: int | None = None
    duration: float | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    codec: str | None = None
    reencoding: Reencoding | None = None


def examine_video(
    path: Path, root: Path, target: Path | None = None, reencoding: Reencoding | None = None
) -> VideoRecord:
    """Decodes every frame of a video; a bad one gives a record with the reason, not an exception.

    Args:
        path: The video file.
        root: The folder that the record's path is relative to.
        target: Where a re-encoded copy goes, if one is wanted; it appears only when it is whole.
        reencoding: How to re-encode.

    Returns:
        The record.
    """
    state = path.stat()
    record = VideoRecord(path.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns)
    try:
        # What the model's reader refuses (no picture, a file that breaks off) is refused here in its words.
        duration = decode_video(path, num_frames=1).duration
        frames, shape, codec = _decode_all(path)
        if target is not None and reencoding is not None:
            _reencode(path, target, reencoding, duration)
    except VideoDecodingError as error:
        return VideoRecord(record.path, record.size, record.modified_ns, error=error.reason)
    except (av.FFmpegError, OSError, ValueError) as error:
        return VideoRecord(record.path, record.size, record.modified_ns, error=str(error))
    return VideoRecord(
        record.path,
        record.size,
        record.modified_ns,
        frames=frames,
        duration=round(duration, 3),
        fps=round(frames / duration, 3) if duration else None,
        width=shape[1],
        height=shape[0],
        codec=codec,
        reencoding=reencoding,
    )


def _frames(path: Path) -> Iterator[tuple[VideoFrame, Fraction, str]]:
    """The frames of a file in order, with their times in seconds and the name of the codec."""
    with av.open(f"file:{path}", metadata_errors="replace") as container:
        stream = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            raise VideoDecodingError(str(path), "has no video stream")
        # The other core decodes another video.
        stream.codec_context.thread_count = 1
        first = None
        for frame in container.decode(stream):
            if not isinstance(frame, VideoFrame) or frame.pts is None or frame.time_base is None:
                raise VideoDecodingError(str(path), "has a frame without a time")
            # Exact, for 0.2 as a float lies after one fifth.
            time = frame.pts * frame.time_base
            first = time if first is None else first
            yield frame, time - first, stream.codec_context.name


def _decode_all(path: Path) -> tuple[int, tuple[int, int], str]:
    """Counts the frames; returns their number, the height and width, upright, and the codec."""
    number, corrupt, shape, codec_name = 0, 0, (0, 0), ""
    for frame, _, codec in _frames(path):
        if not number:
            shape = (frame.height, frame.width) if frame.rotation % 180 == 0 else (frame.width, frame.height)
        codec_name = codec
        number += 1
        corrupt += frame.is_corrupt
    if corrupt:
        raise VideoDecodingError(str(path), f"{corrupt} of its {number} frames are corrupt")
    return number, shape, codec_name


def _reencode(path: Path, target: Path, reencoding: Reencoding, duration: float) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    source_rate = _source_rate(path)
    resampled = reencoding.fps is not None and reencoding.fps < source_rate
    rate = Fraction(reencoding.fps).limit_denominator(1001) if resampled and reencoding.fps else source_rate
    # Without resampling, irregular times stay as they are, to a tenth of a millisecond.
    clock = 1 / rate if resampled else Fraction(1, 10_000)
    with av.open(str(unfinished), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=_H264_OPTIONS)
        stream.pix_fmt = "yuv420p"
        stream.gop_size = max(1, round(rate))
        stream.codec_context.time_base = clock
        frames = _at_fixed_rate(_frames(path), rate, duration) if resampled else _at_own_times(_frames(path))
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
    unfinished.replace(target)


def _source_rate(path: Path) -> Fraction:
    with av.open(f"file:{path}", metadata_errors="replace") as container:
        stream = container.streams.best("video")
        rate = (stream.average_rate or stream.guessed_rate) if stream is not None else None
    return rate or Fraction(25)


def _at_own_times(frames: Iterator[tuple[VideoFrame, Fraction, str]]) -> Iterator[tuple[np.ndarray, int]]:
    for frame, time, _ in frames:
        yield _upright(frame), round(time * 10_000)


def _at_fixed_rate(
    frames: Iterator[tuple[VideoFrame, Fraction, str]], rate: Fraction, duration: float
) -> Iterator[tuple[np.ndarray, int]]:
    """Yields what is on the screen at each tick."""
    shown: np.ndarray | None = None
    tick = 0
    for frame, time, _ in frames:
        while shown is not None and tick / rate < time:
            yield shown, tick
            tick += 1
        shown = _upright(frame)
    while shown is not None and (tick == 0 or tick / rate < duration):
        yield shown, tick
        tick += 1


def _upright(frame: VideoFrame) -> np.ndarray:
    """A frame as RGB pixels, turned as its rotation says (degrees counter-clockwise)."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _scaled_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width after scaling down to a short side; H.264 wants them even."""
    scale = 1.0 if short_side is None else min(1.0, short_side / min(height, width))
    return max(2, 2 * round(height * scale / 2)), max(2, 2 * round(width * scale / 2))
