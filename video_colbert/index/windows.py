"""Which windows of a long video are indexed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

Window: TypeAlias = tuple[float | None, float | None]
"""Start (included) and end (excluded) in seconds; None for the whole video."""

# Three and a half weeks of windows of 20 s. More come of times that are wrong, as of two frames ten years apart.
_MAX_WINDOWS = 100_000

# Ids name windows to the millisecond.
_DECIMALS = 3


@dataclass(frozen=True)
class WindowSettings:
    """Windows of one length, each starting a fixed time after the one before.

    Attributes:
        seconds: length of each window.
        overlap: seconds that a window shares with the next, at least.

    Raises:
        ValueError: the length is not positive, or the overlap negative or not shorter than the window.
    """

    seconds: float
    overlap: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 10**-_DECIMALS):
            raise ValueError(
                f"a window needs a positive number of seconds, at least a millisecond, not {self.seconds}"
            )
        if not 0 <= self.overlap <= self.seconds - 10**-_DECIMALS:
            raise ValueError(
                f"windows of {self.seconds:g} s can overlap by 0 s to less than that, not by {self.overlap:g} s"
            )

    def __str__(self) -> str:
        return f"{self.seconds:g} s" + (f" overlapping by {self.overlap:g} s" if self.overlap else "")


class TooManyWindowsError(ValueError):
    """A video is so much longer than its windows that its duration is not believed."""


def video_windows(duration: float, settings: WindowSettings | None) -> list[Window]:
    """The windows of a video.

    All have the same length: the last one is moved back to end with the video, and so overlaps more. A video
    that is no longer than a window is indexed whole.

    Args:
        duration: of the video, in seconds.
        settings: the windows' length and overlap; None for videos as a whole.

    Returns:
        Start (included) and end (excluded) of each window in seconds, in order; (None, None) for the whole video.

    Raises:
        TooManyWindowsError: there would be more than 100,000.
    """
    if settings is None or duration <= settings.seconds:
        return [(None, None)]
    step = settings.seconds - settings.overlap
    last = round(duration - settings.seconds, _DECIMALS)
    # A window that would start within a millisecond of the last one is that one.
    number = max(math.ceil(round((last - 10**-_DECIMALS) / step, 6)), 1)
    if number >= _MAX_WINDOWS:
        raise TooManyWindowsError(
            f"lasts {duration:.0f} s by its own account, which makes {number + 1} windows of {settings.seconds:g} s, "
            f"more than {_MAX_WINDOWS}; index it as a whole or in longer windows"
        )
    starts = [round(row * step, _DECIMALS) for row in range(number)] + [last]
    return [(start, round(start + settings.seconds, _DECIMALS)) for start in starts]
