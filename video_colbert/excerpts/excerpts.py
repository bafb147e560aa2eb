"""Cuts, joined stretches, excerpts that play in a browser, and pictures; each is made in a process of its own."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from video_colbert.errors import ExcerptError
from video_colbert.excerpts.excerpt_worker import ExcerptTask, in_a_process
from video_colbert.excerpts.stretch import CutReport, Stretch

# An instant, of which the frame on show is meant.
_INSTANT = 1e-3
UNFINISHED = ".cut_"
"""How folders begin that hold what is not whole yet, beside its place."""

DEFAULT_TIME_LIMIT = 600.0
"""Seconds after which making an excerpt is given up."""


def cut_video(
    source: str | os.PathLike[str],
    start: float,
    end: float,
    destination: str | os.PathLike[str],
    *,
    exact: bool = False,
    time_limit: float = DEFAULT_TIME_LIMIT,
) -> CutReport:
    """Writes a stretch of a video to a file.

    Without `exact`, packets are copied from the keyframe before the start, which changes no picture, where the
    container is mp4, mov, mkv or webm and the destination's takes the codecs; elsewhere, and with it, the very stretch
    is encoded again as H.264 and AAC, upright, with square pixels.

    Args:
        source: path of the video.
        start: in seconds from its start; the frame that is on show then is the first.
        end: in seconds, excluded; beyond the video's end it is that.
        destination: the file, which is there whole or not at all; its ending says the container, one of those above.
            What is encoded again does not go into webm.
        exact: whether the file is to have the frames of the stretch and no others.
        time_limit: seconds after which it is given up.

    Returns:
        What was really written.

    Raises:
        ExcerptError: the video cannot be read, has no frame in the stretch, or the file cannot be written.
        ValueError: the stretch ends before it starts.

    Example:
        >>> report = cut_video("a.mp4", 1.0, 2.0, "cut.mp4", exact=True)
        >>> report.stretches[0].start, report.seconds
        (1.0, 1.0)
    """
    task = ExcerptTask((Stretch(os.fspath(source), start, end),), None, copies=not exact, time_limit=time_limit)
    return _written(task, Path(destination))


def join_ranges(
    stretches: Sequence[Stretch], destination: str | os.PathLike[str], *, time_limit: float = DEFAULT_TIME_LIMIT
) -> CutReport:
    """Writes stretches of one video or of several, one after another, into one mp4 file, encoded again.

    Args:
        stretches: at least one; the first one's frames say the size, and others lie in the middle of black.
        destination: the file, as of `cut_video`.
        time_limit: seconds after which it is given up.

    Raises:
        ExcerptError: as `cut_video`.
        ValueError: there is no stretch.
    """
    if not stretches:
        raise ValueError("there is no stretch to join")
    return _written(ExcerptTask(tuple(stretches), None, time_limit=time_limit), Path(destination))


def playable_excerpt(
    source: str | os.PathLike[str],
    start: float,
    end: float,
    destination: str | os.PathLike[str],
    *,
    max_height: int = 720,
    time_limit: float = DEFAULT_TIME_LIMIT,
) -> Path:
    """Writes a stretch of any video that is read here as an mp4 file that every browser plays.

    Args:
        source: path of the video.
        start: as of `cut_video`.
        end: likewise.
        destination: the file, which is there whole or not at all.
        max_height: height of its frames, at most, in pixels.
        time_limit: seconds after which it is given up.

    Returns:
        The file.

    Raises:
        ExcerptError: as `cut_video`.
        ValueError: the stretch ends before it starts, or the height is below 2.
    """
    if max_height < 2:
        raise ValueError(f"max_height must be at least 2, got {max_height}")
    stretch = Stretch(os.fspath(source), start, end)
    return Path(
        _written(ExcerptTask((stretch,), None, max_height=max_height, time_limit=time_limit), Path(destination)).path
    )


def frame_picture(
    source: str | os.PathLike[str], second: float, height: int, *, time_limit: float = DEFAULT_TIME_LIMIT
) -> bytes:
    """The frame that is on show at a second, or the last before the end, as a JPEG.

    Args:
        source: path of the video.
        second: from its start.
        height: of the picture in pixels, at most.
        time_limit: seconds after which it is given up.

    Raises:
        ExcerptError: the video cannot be read.
        ValueError: the second or the height is out of range.
    """
    if height < 1:
        raise ValueError(f"height must be at least 1, got {height}")
    stretch = Stretch(os.fspath(source), second, second + _INSTANT)
    picture = in_a_process(ExcerptTask((stretch,), None, max_height=height, time_limit=time_limit))
    if not isinstance(picture, bytes):
        raise TypeError(f"a picture is bytes, not {type(picture).__name__}")
    return picture


def _written(task: ExcerptTask, destination: Path) -> CutReport:
    """Has a file written beside its place, and moves it there once it is whole."""
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=UNFINISHED) as folder:
            unfinished = Path(folder) / f"unfinished{destination.suffix}"
            report = in_a_process(dataclasses.replace(task, destination=str(unfinished)))
            if not isinstance(report, CutReport):
                raise TypeError(f"a file is reported, not {type(report).__name__}")
            unfinished.replace(destination)
    except OSError as error:
        raise ExcerptError(f"{destination}: cannot be written: {error.strerror or error}") from error
    return dataclasses.replace(report, path=str(destination))
