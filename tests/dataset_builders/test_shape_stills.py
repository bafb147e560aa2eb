import numpy as np
import pytest

from dataset_builders.moving_shapes_clips import RGB
from dataset_builders.shape_stills import COLUMNS, ROWS, SIZES, render_stills

STILLS, CAPTIONS = render_stills(300, 48, seed=3)


def test_equal_seeds_give_equal_stills_and_others_do_not() -> None:
    again, captions = render_stills(300, 48, seed=3)
    assert np.array_equal(again, STILLS)
    assert captions == CAPTIONS
    assert not np.array_equal(render_stills(300, 48, seed=4)[0], STILLS)


@pytest.mark.parametrize("index", [i for i, caption in enumerate(CAPTIONS) if " and " not in caption][:60])
def test_the_pixels_are_where_and_as_many_as_the_caption_says(index: int) -> None:
    _, size, colour, shape, row, column = CAPTIONS[index].split()
    covered = np.abs(STILLS[index].astype(int) - RGB[colour]).sum(-1) < 90
    height, width = np.nonzero(covered)
    # The middle of the outline; a triangle's lies above its centre by half a radius at most.
    y, x = (height.min() + height.max() + 1) / 96, (width.min() + width.max() + 1) / 96
    assert abs(x - 0.5 - (COLUMNS.index(column) - 1) * 0.245) < 0.16
    assert abs(y - 0.5 - (ROWS.index(row) - 1) * 0.245) < 0.22
    radius = (width.max() - width.min() + 1) / 96 / {"square": 0.85}.get(shape, 1.0)
    assert 0.03 + 0.06 * SIZES.index(size) < radius < 0.17 + 0.06 * SIZES.index(size)


def test_two_shapes_do_not_touch_and_both_are_seen() -> None:
    for pixels, caption in zip(STILLS, CAPTIONS, strict=True):
        for phrase in caption.split(" and "):
            assert (np.abs(pixels.astype(int) - RGB[phrase.split()[2]]).sum(-1) < 90).any()
