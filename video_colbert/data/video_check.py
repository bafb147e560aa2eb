"""One video decoded from end to end: what it is, or what is wrong with it, and a copy of it if asked."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from video_colbert.processing import VideoDecodingError, decode_video
from video_colbert.processing.video_sources import may_pass

from .shown_frames import ShownFrames
from .video_copies import Reencoding, write_copy

logger = logging.getLogger(__name__)


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
        may_pass: Whether the error is not of the file's bytes (rights, a full disk, a crash), so that it is examined
            again by the next run.
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
    may_pass: bool = False


@dataclass(frozen=True)
class VideoFile:
    """A video that is to be examined.

    Attributes:
        path: The file.
        target: Where a re-encoded copy goes, if one is wanted; it appears only when it is whole.
    """

    path: Path
    target: Path | None = None


def start_examining(root: Path, reencoding: Reencoding | None) -> Callable[[VideoFile], VideoRecord]:
    """What a process examines videos with.

    Args:
        root: The folder that the records' paths are relative to.
        reencoding: How to re-encode.
    """
    return functools.partial(examine_video, root=root, reencoding=reencoding)


def unexamined_video(path: Path, root: Path, reason: str) -> VideoRecord:
    """The record of a video that could not be looked at, for a reason that is not of its bytes."""
    try:
        state = path.stat()
        size, modified = state.st_size, state.st_mtime_ns
    except OSError:
        size = modified = 0
    return VideoRecord(path.relative_to(root).as_posix(), size, modified, error=reason, may_pass=True)


def examine_video(video: VideoFile, root: Path, reencoding: Reencoding | None = None) -> VideoRecord:
    """Decodes every frame of a video; a bad one gives a record with the reason, not an exception.

    Args:
        video: The video file, and where a copy goes.
        root: The folder that the record's path is relative to.
        reencoding: How to re-encode.

    Returns:
        The record.
    """
    path = video.path
    try:
        state = path.stat()
    except OSError as error:
        return unexamined_video(path, root, f"cannot be read: {error.strerror or error}")
    record = VideoRecord(path.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns)
    try:
        # What the model's reader refuses (no picture, a file that breaks off) is refused here in its words.
        duration = decode_video(path, num_frames=1).duration
        frames, shape, codec = _decode_all(path)
    # Whatever a decoder makes of one file, the others are examined.
    except Exception as error:
        logger.debug("%s cannot be used", path, exc_info=True)
        return replace(record, error=_reason(error), may_pass=may_pass(error))
    if video.target is not None and reencoding is not None:
        try:
            write_copy(path, video.target, reencoding, duration)
        except Exception as error:
            logger.debug("%s cannot be re-encoded", path, exc_info=True)
            # Of the disk or of the settings: the video itself decodes.
            return replace(record, error=f"its copy cannot be made: {_reason(error)}", may_pass=True)
    return replace(
        record,
        frames=frames,
        duration=round(duration, 3),
        fps=round(frames / duration, 3) if duration else None,
        width=shape[1],
        height=shape[0],
        codec=codec,
        reencoding=reencoding,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, VideoDecodingError):
        return error.reason
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"


def _decode_all(path: Path) -> tuple[int, tuple[int, int], str]:
    """Counts the frames; returns their number, the height and width as shown, and the codec."""
    number, corrupt, shape = 0, 0, (0, 0)
    frames = ShownFrames(path)
    for frame, _ in frames:
        if not number:
            height, width, _ = frames.picture(frame).shape
            shape = (height, width)
        number += 1
        corrupt += frame.is_corrupt
    if corrupt:
        raise VideoDecodingError(str(path), f"{corrupt} of its {number} frames are corrupt")
    return number, shape, frames.codec
