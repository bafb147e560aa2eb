from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from video_colbert import VideoClip, VisualQuery
from video_colbert.encoding.visual_query import as_visual_query
from video_colbert.encoding.visual_query.query import pixels_of

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "made of an image or a clip, got neither"),
        ({"image": PICTURE, "clip": VideoClip("a.mp4")}, "got both"),
        ({"image": PICTURE[None]}, r"an array of a picture is uint8 \[H, W, 3\], got uint8 \[1, 2, 3, 3\]"),
        ({"image": PICTURE.astype(float)}, "got float64"),
        ({"image": PICTURE[:0]}, "got uint8"),
        (
            {"clip": VideoClip("a.mp4", -1.0, 2.0)},
            "starts at 0 s or later and ends after its start, got -1.0 s to 2.0 s",
        ),
        ({"clip": VideoClip("a.mp4", 2.0, 2.0)}, "ends after its start, got 2.0 s to 2.0 s"),
        ({"clip": VideoClip("a.mp4", float("nan"))}, "starts at 0 s or later"),
        ({"image": PICTURE, "text": " "}, "the text of a visual query is empty"),
        ({"image": PICTURE, "text": "x", "text_weight": 1.5}, "text_weight must be from 0 to 1, got 1.5"),
        ({"image": PICTURE, "text": "x", "text_weight": float("nan")}, "text_weight must be from 0 to 1, got nan"),
    ],
)
def test_what_is_no_query_is_refused_in_a_sentence(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisualQuery(**given)


def test_other_types_are_refused() -> None:
    image: Any = "a.jpg"
    with pytest.raises(TypeError, match="is an image of Pillow or a uint8 array"):
        VisualQuery(image=image)
    with pytest.raises(TypeError, match="the clip of a visual query is a VideoClip, not str"):
        VisualQuery(clip=image)


def test_pictures_and_clips_alone_are_queries_and_a_path_is_none() -> None:
    assert as_visual_query(PICTURE) == VisualQuery(image=PICTURE)
    assert as_visual_query(VideoClip("a.mp4")) == VisualQuery(clip=VideoClip("a.mp4"))
    image = Image.fromarray(PICTURE)
    made = as_visual_query(image)
    assert made is not None
    assert made.image is image
    assert [as_visual_query(given) for given in ("a.jpg", ["a", "b"], None)] == [None] * 3


def test_a_query_is_called_by_its_words_and_what_it_shows() -> None:
    assert VisualQuery(image=PICTURE).title == "<picture of 3x2>"
    assert VisualQuery(image=PICTURE, name="a.jpg", text="at night").title == "at night + a.jpg"
    assert VisualQuery(clip=VideoClip("a.mp4", None, 2.0)).title == "a.mp4 [0 s to 2 s]"


def test_pictures_are_upright_rgb_and_on_black() -> None:
    assert pixels_of(PICTURE) is PICTURE
    np.testing.assert_array_equal(pixels_of(Image.fromarray(PICTURE)), PICTURE)
    turned = Image.fromarray(PICTURE)
    # Orientation 6 of Exif: shown after a quarter turn clockwise.
    turned.getexif()[0x0112] = 6
    np.testing.assert_array_equal(pixels_of(turned), np.rot90(PICTURE, -1))
    half = np.dstack([PICTURE, np.array([[0, 255, 0], [255, 0, 255]], np.uint8)])
    np.testing.assert_array_equal(pixels_of(Image.fromarray(half)), np.where(half[..., 3:] == 255, PICTURE, 0))
