"""A stretch of a video, and what was written of it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """A stretch of a video.

    Attributes:
        source: path of the file.
        start: in seconds from the start of the video; the frame that is on show then is the first.
        end: in seconds, excluded.

    Raises:
        ValueError: it starts before 0 s, or does not end after its start.
    """

    source: str
    start: float
    end: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.start < self.end < math.inf):
            raise ValueError(
                f"a stretch starts at 0 s or later and ends after its start, got {self.start} s to {self.end} s"
            )


@dataclass(frozen=True)
class CutReport:
    """What was written.

    Attributes:
        path: the file.
        stretches: what of which video is in it, one after another; without re-encoding a stretch begins with the
            keyframe before what was asked, and may end some frames after it.
        is_copy: whether nothing was encoded again.
        reason: why it was, though that was not asked for; None where it was, or was not needed.
        problem: what of the sound is missing, in words; None where all is there.
    """

    path: str
    stretches: tuple[Stretch, ...]
    is_copy: bool
    reason: str | None = None
    problem: str | None = None

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return sum(each.end - each.start for each in self.stretches)
