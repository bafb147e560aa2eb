import numpy as np

from video_colbert.dataset_builders.shapes.moving_shapes_clips import RGB
from video_colbert.dataset_builders.shapes.shape_stills import COLUMNS, ROWS, SIZES, render_stills

STILLS, CAPTIONS = render_stills(300, 48, seed=3)


def painted(pixels: np.ndarray, colour: str) -> np.ndarray:
    distance: np.ndarray = np.abs(pixels.astype(int) - RGB[colour]).sum(-1)
    return distance < 90


def test_equal_seeds_give_equal_stills_and_others_do_not() -> None:
    again, captions = render_stills(300, 48, seed=3)
    assert np.array_equal(again, STILLS)
    assert captions == CAPTIONS
    assert not np.array_equal(render_stills(300, 48, seed=4)[0], STILLS)


def test_the_pixels_are_where_and_as_many_as_a_detailed_caption_says() -> None:
    detailed = [i for i, caption in enumerate(CAPTIONS) if len(caption.split()) == 6]
    assert len(detailed) > 40
    for index in detailed:
        _, size, colour, shape, row, column = CAPTIONS[index].split()
        height, width = np.nonzero(painted(STILLS[index], colour))
        # The middle of the outline; a triangle's lies above its centre by half a radius at most.
        y, x = (height.min() + height.max() + 1) / 96, (width.min() + width.max() + 1) / 96
        assert abs(x - 0.5 - (COLUMNS.index(column) - 1) * 0.245) < 0.16
        assert abs(y - 0.5 - (ROWS.index(row) - 1) * 0.245) < 0.22
        radius = (width.max() - width.min() + 1) / 96 / {"square": 0.85}.get(shape, 1.0)
        assert 0.03 + 0.06 * SIZES.index(size) < radius < 0.17 + 0.06 * SIZES.index(size)


def test_half_of_the_captions_name_colour_and_shape_alone_and_half_of_the_stills_hold_two() -> None:
    phrases = [caption.split(" and ") for caption in CAPTIONS]
    plain = sum(len(first.split()) == 3 for first, *_ in phrases)
    assert 120 < plain < 180
    assert 120 < sum(len(both) == 2 for both in phrases) < 180
    assert all(len({len(phrase.split()) for phrase in both}) == 1 for both in phrases)


def test_every_shape_that_is_named_is_seen() -> None:
    for pixels, caption in zip(STILLS, CAPTIONS, strict=True):
        for phrase in caption.split(" and "):
            assert painted(pixels, next(colour for colour in RGB if colour in phrase.split())).any()
