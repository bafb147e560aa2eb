from __future__ import annotations

import argparse

import pytest

from video_colbert.commands.arguments.level_weights import add_level_weights, level_weights


def test_weights_are_numbers_by_level() -> None:
    assert level_weights("frame=1,video=0.5") == {"frame": 1.0, "video": 0.5}
    assert level_weights(" frame = 0 , speech=2e-1") == {"frame": 0.0, "speech": 0.2}
    parser = argparse.ArgumentParser()
    add_level_weights(parser)
    assert parser.parse_args([]).level_weights == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame", "'frame' is not LEVEL=WEIGHT, such as frame=1,video=0.5"),
        ("frame=1,", "'' is not LEVEL=WEIGHT"),
        ("=1", "'=1' is not LEVEL=WEIGHT"),
        ("frame=much", "the weight of 'frame' must be a number, not 'much'"),
        ("frame=-1", "the weight of 'frame' must be finite and not negative, not '-1'"),
        ("frame=nan", "must be finite and not negative, not 'nan'"),
        ("frame=1,frame=2", "the level 'frame' is named twice"),
    ],
)
def test_what_is_no_list_of_weights_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        level_weights(text)
