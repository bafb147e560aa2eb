"""Where a video is cut so that its windows end with its scenes; a pure function of its length and scene changes.

Everything is counted in whole milliseconds, to which the ids of windows name them.

**Scenes.** Windows of 10 to 30 s tile the video. Of all ways to do that those are taken in which as few windows as
possible end anywhere but at a scene change, and of these the one whose lengths are nearest to 20 s by the sum of
squares. A stretch of more than 30 s in which no change leaves a window on both sides is cut every 20 s, and its last
window takes what would be too short for one of its own.

**Shots.** Each window is a shot. One of less than a second belongs to the next, or at the end to the one before, and
one of more than 30 s is cut as above.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

WHOLE_SECONDS = 60.0
"""No longer videos are left whole where scenes decide."""
MEAN_SECONDS = 20.0
"""The length that windows are to have."""

_MEAN = 20_000
_SHORTEST = 10_000
_LONGEST = 30_000
_SHORTEST_SHOT = 1_000


def scene_bounds(duration: float, changes: Sequence[float]) -> list[float]:
    """Where windows of about 20 s that end at scene changes begin and end.

    Args:
        duration: of the video, in seconds.
        changes: seconds at which its scenes change, increasing.

    Returns:
        Seconds, increasing, from 0 to the video's end; these two alone for a video of at most a minute.
    """
    end = _milliseconds(duration)
    if duration <= WHOLE_SECONDS:
        return _seconds([0, end])
    # What is nearer to an end of the video would leave too short a window there.
    changes_within = [time for time in _distinct(changes) if _SHORTEST <= time <= end - _SHORTEST]
    return _seconds(_best_path([0, *changes_within, end]))


def shot_bounds(duration: float, changes: Sequence[float]) -> list[float]:
    """Where windows that each hold a shot begin and end.

    Args:
        duration: of the video, in seconds.
        changes: seconds at which its scenes change, increasing.

    Returns:
        Seconds, increasing, from 0 to the video's end.
    """
    end = _milliseconds(duration)
    bounds = [0]
    for time in _distinct(changes):
        if time - bounds[-1] >= _SHORTEST_SHOT and end - time >= _SHORTEST_SHOT:
            bounds += _steps(bounds[-1], time)
    return _seconds(bounds + _steps(bounds[-1], end))


def _best_path(times: list[int]) -> list[int]:
    """The best bounds among the times, of which the first and the last are the video's ends.

    The best bounds up to a time are the best up to an earlier one, followed by the steps from there.
    """
    best = [_Path((0, 0), 0, [0])]
    for later in range(1, len(times)):
        best.append(min(_reached(times, best, earlier, later) for earlier in _earlier(times, later)))
    stretches: list[list[int]] = []
    row = len(times) - 1
    while row:
        stretches.append(best[row].steps)
        row = best[row].earlier
    return [0, *chain.from_iterable(reversed(stretches))]


class _Path(NamedTuple):
    """A way to cut up to a time.

    Attributes:
        cost: how many windows end at no scene change, and the sum of squared deviations from the mean length.
        earlier: the row of the last time before that is a bound.
        steps: the bounds since.
    """

    cost: tuple[int, int]
    earlier: int
    steps: list[int]


def _earlier(times: list[int], later: int) -> list[int]:
    """The times from which windows may lead to a later one without a bound at any scene change between."""
    time = times[later]
    within_reach = bisect_left(times, time - _LONGEST)
    # Of those that are farther, one after which a change leaves a window on both sides goes by way of that change.
    farthest = bisect_right(times, times[within_reach - 1] - _SHORTEST) if within_reach else 0
    far = (row for row in range(farthest, within_reach) if not _is_parted(times, row, later))
    return [*far, *range(within_reach, bisect_right(times, time - _SHORTEST, hi=later))]


def _is_parted(times: list[int], earlier: int, later: int) -> bool:
    """Whether there is a time between two others that leaves a window on both sides."""
    return times[bisect_left(times, times[earlier] + _SHORTEST)] <= times[later] - _SHORTEST


def _reached(times: list[int], best: list[_Path], earlier: int, later: int) -> _Path:
    steps = _steps(times[earlier], times[later])
    elsewhere, deviation = best[earlier].cost
    deviation += sum((end - start - _MEAN) ** 2 for start, end in pairwise([times[earlier], *steps]))
    return _Path((elsewhere + len(steps) - 1, deviation), earlier, steps)


def _steps(start: int, end: int) -> list[int]:
    """Where windows between two times end, of which the second is an end: every 20 s if it is too long for one."""
    bounds = list(range(start + _MEAN, end - _SHORTEST, _MEAN)) if end - start > _LONGEST else []
    return [*bounds, end]


def _distinct(changes: Sequence[float]) -> list[int]:
    return sorted({_milliseconds(time) for time in changes})


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(bounds: list[int]) -> list[float]:
    return [bound / 1000 for bound in bounds]
