import itertools

import numpy as np
import pytest

from video_colbert.encoding.scene_changes import find_stays
from video_colbert.index.windows import TooManyWindowsError, WindowSettings, are_complete, video_windows


@pytest.mark.parametrize("duration", [10.001, 10.04, 15.0, 20.0, 25.0, 61.5, 3600.0, 7201.37])
@pytest.mark.parametrize(("seconds", "overlap"), [(10.0, 0.0), (10.0, 2.5), (10.0, 9.0), (7.3, 1.1)])
def test_windows_cover_the_video_with_at_least_the_overlap(duration: float, seconds: float, overlap: float) -> None:
    windows = [(start or 0.0, end or 0.0) for start, end in video_windows(duration, WindowSettings(seconds, overlap))]
    assert windows[0][0] == 0
    assert windows[-1][1] == pytest.approx(duration, abs=1e-3)
    assert all(end - start == pytest.approx(seconds, abs=1e-6) for start, end in windows)
    for (start, end), (next_start, _) in itertools.pairwise(windows):
        assert next_start > start
        assert end - next_start >= overlap - 1e-6
    # One fewer would not reach the end.
    assert (len(windows) - 1) * (seconds - overlap) < duration - overlap + 1e-3


def test_last_window_is_moved_back_to_the_end_of_the_video() -> None:
    assert video_windows(25.0, WindowSettings(10.0)) == [(0.0, 10.0), (10.0, 20.0), (15.0, 25.0)]
    assert video_windows(30.0, WindowSettings(10.0)) == [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]
    assert video_windows(20.0, WindowSettings(10.0, 5.0)) == [(0.0, 10.0), (5.0, 15.0), (10.0, 20.0)]


@pytest.mark.parametrize("duration", [0.0, 4.0, 10.0])
def test_video_no_longer_than_a_window_is_whole(duration: float) -> None:
    assert video_windows(duration, WindowSettings(10.0, 5.0)) == [(None, None)]
    assert video_windows(3600.0, None) == [(None, None)]


@pytest.mark.parametrize(
    ("seconds", "overlap"), [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0), (10.0, 10.0), (10.0, -1)]
)
def test_windows_that_would_not_advance_are_refused(seconds: float, overlap: float) -> None:
    with pytest.raises(ValueError, match="window"):
        WindowSettings(seconds, overlap)


def test_duration_of_years_is_refused_with_the_number_of_its_windows() -> None:
    ten_years = 10 * 365 * 86400.0
    with pytest.raises(TooManyWindowsError, match=r"lasts 315360000 s .* makes 15768000 windows of 20 s"):
        video_windows(ten_years, WindowSettings(20.0))
    # A day of windows of one second is none too many.
    assert len(video_windows(86400.0, WindowSettings(1.0))) == 86400


def test_windows_that_show_one_frame_alone_are_one_window() -> None:
    stays = [(9.5, 3600.0)]
    assert video_windows(3600.5, WindowSettings(20.0), (), stays) == [(0.0, 20.0), (20.0, 3600.0), (3580.5, 3600.5)]
    # What is known of windows that are stored finds the same ones again.
    assert video_windows(3600.5, WindowSettings(20.0), (), [(20.0, 3600.0)])[1] == (20.0, 3600.0)
    auto = video_windows(3600.5, WindowSettings(kind="auto"), (), stays)
    assert (auto[0][0], auto[-1][1]) == (0.0, 3600.5)
    assert len(auto) <= 4
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(auto))
    assert are_complete(auto, 3600.5)
    assert len(video_windows(3600.5, WindowSettings(20.0))) == 181


def test_only_frames_that_stay_for_five_minutes_are_told() -> None:
    times = np.array([0.0, 1.0, 300.9, 700.0])
    assert find_stays(times, 999.9) == ((300.9, 700.0),)
    assert find_stays(times, 1000.0) == ((300.9, 700.0), (700.0, 1000.0))
    assert find_stays(np.array([0.0]), 3.0) == ()
