"""A recording whose clock leaps by an hour: its last picture before that is one window, and is found."""

from pathlib import Path

import numpy as np
import pytest

from tests.processing.made_videos import write_video
from video_colbert import VideoColBERTEncoder, open_index

LEAP = 3_600_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    colours = np.random.default_rng(0).integers(0, 256, (30, 2, 2, 3)).astype(np.uint8)
    return write_video(
        tmp_path_factory.mktemp("recording") / "leap.mp4",
        30,
        presentation=lambda number: 500 * number + (LEAP if number >= 20 else 0),
        draw=lambda number: colours[number].repeat(16, axis=0).repeat(16, axis=1),
    )


@pytest.mark.parametrize("windows", [2, "auto"])
def test_what_shows_one_picture_for_an_hour_is_one_window_and_is_found_again(
    windows: float | str, recording: Path, encoder: VideoColBERTEncoder, tmp_path: Path
) -> None:
    index = open_index(tmp_path / "index", encoder, windows=windows)
    report = index.add([recording], workers=1)
    assert report.clips < 20
    assert list(report.stills.values()) == pytest.approx([3600], abs=30)
    assert "1 with one frame for minutes, as one window" in repr(report)
    long = [video for video in index.videos if video.start is not None and (video.end or 0.0) - video.start > 3000]
    assert len(long) == 1
    again = index.add([recording], workers=1)
    assert (again.added, again.present, again.replaced) == ([], [str(recording)], 0)
    times = [number / 2 + (LEAP / 1000 if number >= 20 else 0.0) for number in range(30)]
    for hit in index.search("a red square moves left", top_k=20, group_windows=False):
        assert hit.moments
        for moment in hit.moments:
            shown = [time for time in times if time < hit.start + 0.01][-1]
            # At a frame that the window shows, the first of which may have appeared before it.
            assert min(abs(moment.time - time) for time in times) < 0.01
            assert shown - 0.01 <= moment.time <= hit.end
