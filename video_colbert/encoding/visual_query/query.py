"""A picture or a stretch of a video as a query, perhaps with words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from video_colbert.encoding.encoded import VideoClip

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

DEFAULT_TEXT_WEIGHT = 0.5
"""What share of the score the words of a query have that shows something too."""


@dataclass(frozen=True)
class VisualQuery:
    """A picture or a stretch of a video as a query, perhaps with words.

    Attributes:
        image: a picture: an image of Pillow, or uint8 [H, W, 3], RGB; either this or `clip`.
        clip: a video or a stretch of one.
        text: words that hits fit too.
        text_weight: the share of the words in the score, from 0 (what is shown alone) to 1 (the words alone).
        name: what the picture or the video is called where hits are shown; by default its path or its size.

    Raises:
        ValueError: there is neither or both of `image` and `clip`, the stretch or the weight is out of range, the text
            is empty, or the picture is of another shape.
        TypeError: the picture or the clip is of another type.

    Example:
        >>> VisualQuery(clip=VideoClip("a.mp4", 1.0, 2.5), text="at night").title
        'at night + a.mp4 [1 s to 2.5 s]'
    """

    image: Image | npt.NDArray[np.uint8] | None = field(default=None, hash=False, compare=False)
    clip: VideoClip | None = None
    text: str | None = None
    text_weight: float = DEFAULT_TEXT_WEIGHT
    name: str | None = None

    def __post_init__(self) -> None:
        if (self.image is None) == (self.clip is None):
            given = "neither" if self.image is None else "both"
            raise ValueError(f"a visual query is made of an image or a clip, got {given}")
        if self.image is not None:
            _check_image(self.image)
        if self.clip is not None:
            _check_clip(self.clip)
        if self.text is not None and not self.text.strip():
            raise ValueError("the text of a visual query is empty; leave it out to ask by what is shown alone")
        if not 0.0 <= self.text_weight <= 1.0:
            raise ValueError(f"text_weight must be from 0 to 1, got {self.text_weight}")

    @property
    def title(self) -> str:
        """The query in a line, as hits are headed."""
        return self.shown if self.text is None else f"{self.text} + {self.shown}"

    @property
    def shown(self) -> str:
        """The picture or the stretch of a video in a few words."""
        if self.name is not None:
            return self.name
        if self.clip is not None:
            from video_colbert.encoding.clip_decoding import clip_name

            return clip_name(self.clip)
        height, width = pixels_of(self.image).shape[:2]
        return f"<picture of {width}x{height}>"


def as_visual_query(given: Any) -> VisualQuery | None:
    """A picture or a clip as the query that it stands for; None of a text and of whatever else.

    Args:
        given: a `VisualQuery`, an image of Pillow, uint8 [H, W, 3], or a `VideoClip`. A path is a text.

    Raises:
        ValueError: as `VisualQuery`.
    """
    if isinstance(given, VisualQuery):
        return given
    if isinstance(given, VideoClip):
        return VisualQuery(clip=given)
    # Of neither library anything is imported for a text.
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(given).__mro__}
    return VisualQuery(image=given) if kinds & {"PIL.Image.Image", "numpy.ndarray"} else None


def pixels_of(image: Any) -> npt.NDArray[np.uint8]:
    """A picture as uint8 [H, W, 3], RGB, upright; what is transparent lies on black, as in videos.

    Args:
        image: an image of Pillow, or such an array.
    """
    import numpy as np
    from PIL import Image, ImageOps

    if isinstance(image, np.ndarray):
        return image
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        black = Image.new("RGBA", upright.size, (0, 0, 0, 255))
        upright = Image.alpha_composite(black, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"))


def _check_image(image: Any) -> None:
    import numpy as np
    from PIL.Image import Image

    if isinstance(image, Image):
        return
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"the image of a visual query is an image of Pillow or a uint8 array [H, W, 3], not {type(image).__name__}"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"an array of a picture is uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")


def _check_clip(clip: Any) -> None:
    if not isinstance(clip, VideoClip):
        raise TypeError(f"the clip of a visual query is a VideoClip, not {type(clip).__name__}")
    start, end = clip.start or 0.0, math.inf if clip.end is None else clip.end
    if not (0.0 <= start < math.inf and start < end):
        raise ValueError(
            f"a stretch of a video starts at 0 s or later and ends after its start, got {clip.start} s to {clip.end} s"
        )
