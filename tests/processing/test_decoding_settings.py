from typing import Any

import numpy as np
import pytest

from video_colbert.processing.decoding_settings import DecodingSettings

# Frame t of a made video is the grey level t.
FRAMES = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 8, 10, 3))


def decoded_levels(settings: DecodingSettings, **window: float) -> list[int]:
    return [int(level) for level in settings.decode(FRAMES, **window).frames[:, 0, 0, 0]]


def test_settings_decide_the_frames() -> None:
    assert decoded_levels(DecodingSettings(num_frames=4)) == [4, 14, 24, 34]
    assert decoded_levels(DecodingSettings(sampling="fps", fps=1.0, source_fps=10.0)) == [0, 10, 20, 30]
    assert decoded_levels(DecodingSettings(num_frames=None, source_fps=10.0), start=1.0, end=1.3) == [10, 11, 12]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0; it must be a whole number from 1"),
        ({"sampling": "every"}, "sampling is 'every'; it must be one of uniform"),
        ({"backend": "opencv"}, "backend is 'opencv'; it must be one of pyav"),
        ({"fps": 2.0}, "fps is 2.0, but sampling is 'uniform'"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecodingSettings(**settings)
