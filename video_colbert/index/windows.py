"""Which windows of a long video are indexed."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, cast, get_args

from video_colbert.index.scene_windows import MEAN_SECONDS, WHOLE_SECONDS, scene_bounds, shot_bounds

Window: TypeAlias = tuple[float | None, float | None]
"""Start (included) and end (excluded) in seconds; None for the whole video."""

WindowKind: TypeAlias = Literal["auto", "shots", "seconds"]

# Three and a half weeks of windows of 20 s. More come of times that are wrong, as of two frames ten years apart.
_MAX_WINDOWS = 100_000

# Ids name windows to the millisecond.
_DECIMALS = 3

# By which times of frames and of windows, which are rounded, may miss each other.
_ROUNDING = 10**-_DECIMALS

# Shorter than any window that may be missing at the end, and longer than what decoding corrects of a duration.
_END_SECONDS = 0.5


@dataclass(frozen=True)
class WindowSettings:
    """How long videos are cut.

    Attributes:
        seconds: length of each window, of kind "seconds" alone.
        overlap: seconds that such a window shares with the next, at least.
        kind: "seconds" for windows of one length, each starting a fixed time after the one before; "auto" to leave
            videos of up to a minute whole and cut longer ones into windows of 10 to 30 s, about 20, that end at scene
            changes where there are some; "shots" for a window from each scene change to the next.

    Raises:
        ValueError: there is no such kind, the length is not positive, or the overlap negative or not shorter than the
            window.

    Example:
        >>> print(WindowSettings(20.0, overlap=5.0), WindowSettings(kind="auto"))
        20 s overlapping by 5 s auto
    """

    seconds: float | None = None
    overlap: float = 0.0
    kind: WindowKind = "seconds"

    def __post_init__(self) -> None:
        if self.kind not in get_args(WindowKind):
            raise ValueError(f"windows are of kind {' or '.join(map(repr, get_args(WindowKind)))}, not {self.kind!r}")
        if self.kind != "seconds":
            if self.seconds is not None or self.overlap:
                raise ValueError(f"windows of kind {self.kind!r} have neither a number of seconds nor an overlap")
            return
        if self.seconds is None or not (math.isfinite(self.seconds) and self.seconds >= 10**-_DECIMALS):
            raise ValueError(
                f"a window needs a positive number of seconds, at least a millisecond, not {self.seconds}"
            )
        if not 0 <= self.overlap <= self.seconds - 10**-_DECIMALS:
            raise ValueError(
                f"windows of {self.seconds:g} s can overlap by 0 s to less than that, not by {self.overlap:g} s"
            )

    def __str__(self) -> str:
        if self.seconds is None:
            return self.kind
        return f"{self.seconds:g} s" + (f" overlapping by {self.overlap:g} s" if self.overlap else "")

    @property
    def scenes_beyond(self) -> float | None:
        """Seconds beyond which a video is cut at its scene changes; None where these do not matter."""
        return {"auto": WHOLE_SECONDS, "shots": 0.0, "seconds": None}[self.kind]


class TooManyWindowsError(ValueError):
    """A video is so much longer than its windows that its duration is not believed."""


def window_settings(windows: WindowSettings | float | str) -> WindowSettings | None:
    """What a user says of windows, as settings.

    Args:
        windows: settings, the seconds of a window, "auto", "shots" or "none".

    Returns:
        The settings; None for videos as a whole.

    Raises:
        ValueError: it is none of these, or a number that is out of range.

    Example:
        >>> window_settings(20), window_settings("none")
        (WindowSettings(seconds=20.0, overlap=0.0, kind='seconds'), None)
    """
    if isinstance(windows, WindowSettings):
        return windows
    if windows == "none":
        return None
    if windows in ("auto", "shots"):
        return WindowSettings(kind=cast(WindowKind, windows))
    if isinstance(windows, str | bool):
        raise ValueError(f"windows are 'auto', 'shots', 'none' or a number of seconds, not {windows!r}")
    return WindowSettings(float(windows))


def video_windows(
    duration: float,
    settings: WindowSettings | None,
    scene_changes: Sequence[float] = (),
    stays: Sequence[tuple[float, float]] = (),
) -> list[Window]:
    """The windows of a video.

    Windows of one length: the last one is moved back to end with the video, and so overlaps more. A video that is no
    longer than a window is indexed whole. Windows that end at scene changes follow each other without an overlap;
    `scene_windows.py` has the rules. Windows that show nothing but one frame that stays are one window together.

    Args:
        duration: of the video, in seconds.
        settings: how it is cut; None for videos as a whole.
        scene_changes: seconds at which its scenes change, increasing.
        stays: start and end of the long stretches in which one frame stays on show, in order.

    Returns:
        Start (included) and end (excluded) of each window in seconds, in order; (None, None) for the whole video.

    Raises:
        TooManyWindowsError: there would be more than 100,000.
    """
    if settings is None:
        return [(None, None)]
    if settings.seconds is not None:
        return _joined(_windows_of_length(duration, settings.seconds, settings.overlap), stays)
    _check_number(duration, math.ceil(duration / MEAN_SECONDS), MEAN_SECONDS)
    bounds = (shot_bounds if settings.kind == "shots" else scene_bounds)(duration, scene_changes)
    return _joined(list(pairwise(bounds)), stays) if len(bounds) > 2 else [(None, None)]


def are_complete(windows: Collection[Window], duration: float) -> bool:
    """Whether windows that follow each other cover a video without an overlap, so that none of it is missing.

    Args:
        windows: of the video, in any order.
        duration: of the video, in seconds.
    """
    bounds = sorted((start or 0.0, duration if end is None else end) for start, end in windows)
    if not bounds or bounds[0][0] > 0.0 or abs(bounds[-1][1] - duration) >= _END_SECONDS:
        return False
    return all(end == start for (_, end), (start, _) in pairwise(bounds))


def counted_videos(videos: int, windows: int) -> str:
    """A number of videos in words, and that of their windows where some are cut.

    Args:
        videos: how many.
        windows: how many windows and whole videos these are in the index.

    Example:
        >>> counted_videos(1, 1), counted_videos(3, 90)
        ('1 video', '3 videos in 90 windows')
    """
    text = f"{videos} {'video' if videos == 1 else 'videos'}"
    return f"{text} in {windows} windows" if windows > videos else text


def _joined(windows: list[Window], stays: Sequence[tuple[float, float]]) -> list[Window]:
    """Makes one window of those that lie within a stretch in which one frame stays on show."""
    for first, last in stays:
        within = [
            row
            for row, (start, end) in enumerate(windows)
            if start is not None and end is not None and first - _ROUNDING <= start and end <= last + _ROUNDING
        ]
        if len(within) > 1:
            windows[within[0] : within[-1] + 1] = [(windows[within[0]][0], windows[within[-1]][1])]
    return windows


def _windows_of_length(duration: float, seconds: float, overlap: float) -> list[Window]:
    if duration <= seconds:
        return [(None, None)]
    step = seconds - overlap
    last = round(duration - seconds, _DECIMALS)
    # A window that would start within a millisecond of the last one is that one.
    number = max(math.ceil(round((last - 10**-_DECIMALS) / step, 6)), 1)
    _check_number(duration, number + 1, seconds)
    starts = [round(row * step, _DECIMALS) for row in range(number)] + [last]
    return [(start, round(start + seconds, _DECIMALS)) for start in starts]


def _check_number(duration: float, number: int, seconds: float) -> None:
    if number > _MAX_WINDOWS:
        raise TooManyWindowsError(
            f"lasts {duration:.0f} s by its own account, which makes {number} windows of {seconds:g} s, more than "
            f"{_MAX_WINDOWS}; index it as a whole or in longer windows"
        )
