from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_colbert.index.scene_windows import scene_bounds, shot_bounds
from video_colbert.index.windows import WindowSettings, are_complete, video_windows

durations = st.floats(60.01, 4000.0)
changes = st.lists(st.floats(0.0, 4000.0), max_size=80).map(sorted)
# Scenes of ordinary lengths, which leave more to choose from than times anywhere do.
scenes = st.lists(st.floats(0.3, 45.0), max_size=80).map(lambda lengths: list(itertools.accumulate(lengths)))


def lengths(bounds: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(bounds)]


def fewest_ends_elsewhere(duration: int, changes: list[int]) -> int:
    """The fewest of all ways to have bounds at some changes and windows of 20 s between; in tenths of a second."""
    times = [0, *(time for time in changes if 0 < time < duration), duration]
    fewest = [0.0] + [float("inf")] * (len(times) - 1)
    for later, earlier in itertools.product(range(1, len(times)), range(len(times))):
        stretch = times[later] - times[earlier]
        if earlier < later and stretch >= 100:
            # The last window takes up to 30 s.
            fewest[later] = min(fewest[later], fewest[earlier] + max(-(-(stretch - 300) // 200), 0))
    return int(fewest[-1])


@given(durations, changes | scenes)
def test_windows_at_scenes_tile_the_video_in_10_to_30_seconds_each(duration: float, changes: list[float]) -> None:
    bounds = scene_bounds(duration, changes)
    assert (bounds[0], bounds[-1]) == (0.0, round(duration, 3))
    assert all(10.0 - 1e-6 <= length <= 30.0 + 1e-6 for length in lengths(bounds))
    assert scene_bounds(duration, list(changes)) == bounds


@given(st.integers(601, 6000), st.lists(st.integers(2, 450), max_size=60).map(itertools.accumulate).map(list))
def test_no_other_way_has_fewer_windows_that_end_at_no_scene_change(duration: int, changes: list[int]) -> None:
    bounds = scene_bounds(duration / 10, [time / 10 for time in changes])[1:-1]
    assert len([bound for bound in bounds if round(10 * bound) not in changes]) == fewest_ends_elsewhere(
        duration, changes
    )


@given(st.floats(0.01, 4000.0), changes | scenes)
def test_shots_tile_the_video_and_end_at_changes_unless_they_are_too_long_or_short(
    duration: float, changes: list[float]
) -> None:
    bounds = shot_bounds(duration, changes)
    assert (bounds[0], bounds[-1]) == (0.0, round(duration, 3))
    assert all(length <= 30.0 + 1e-6 for length in lengths(bounds))
    if duration >= 1.0:
        assert all(length >= 1.0 - 1e-6 for length in lengths(bounds))
    times = [round(time, 3) for time in changes if time < duration]
    for time in times:
        # Only what is too near to another cut is none.
        assert any(abs(bound - time) < 1.0 for bound in bounds)
    for earlier, bound in itertools.pairwise(bounds[:-1]):
        assert bound in times or bound - earlier == pytest.approx(20.0)


def test_video_of_a_minute_is_whole_and_a_longer_one_is_cut() -> None:
    auto, shots = WindowSettings(kind="auto"), WindowSettings(kind="shots")
    assert video_windows(60.0, auto, [20.0, 40.0]) == [(None, None)]
    assert video_windows(61.0, auto, [22.0, 41.5]) == [(0.0, 22.0), (22.0, 41.5), (41.5, 61.0)]
    assert video_windows(60.0, shots, [22.0, 22.5, 41.5]) == [(0.0, 22.0), (22.0, 41.5), (41.5, 60.0)]
    assert video_windows(29.0, shots) == [(None, None)]


def test_without_scene_changes_windows_are_of_20_seconds_and_the_last_takes_a_short_rest() -> None:
    auto = WindowSettings(kind="auto")
    assert video_windows(65.0, auto) == [(0.0, 20.0), (20.0, 40.0), (40.0, 65.0)]
    assert video_windows(75.0, auto) == [(0.0, 20.0), (20.0, 40.0), (40.0, 60.0), (60.0, 75.0)]
    assert video_windows(70.0, auto) == [(0.0, 20.0), (20.0, 40.0), (40.0, 70.0)]
    # A scene of 75 s between two others.
    stretch = [(30.0, 50.0), (50.0, 70.0), (70.0, 90.0), (90.0, 105.0)]
    assert video_windows(130.0, auto, [30.0, 105.0]) == [(0.0, 30.0), *stretch, (105.0, 130.0)]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([(0.0, 20.0), (20.0, 41.5), (41.5, 61.0)], True),
        ([(41.5, None), (0.0, 20.0), (20.0, 41.5)], True),
        ([(None, None)], True),
        ([(20.0, 41.5), (41.5, 61.0)], False),
        ([(0.0, 20.0), (41.5, 61.0)], False),
        ([(0.0, 20.0), (20.0, 41.5)], False),
        ([(0.0, 20.0), (20.0, 41.5), (30.0, 41.5), (41.5, 61.0)], False),
        ([(0.0, 60.0)], False),
        ([], False),
    ],
)
def test_windows_are_complete_when_they_tile_the_video(
    windows: list[tuple[float | None, float | None]], expected: bool
) -> None:
    assert are_complete(windows, 61.0) is expected
