"""Pictures of files, for queries."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.errors import EncodingError
from video_colbert.processing.video_containers import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

# Left out are formats for which Pillow runs or opens something else, such as EPS.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_MAX_BYTES = 2**28


def read_picture(source: str | os.PathLike[str] | bytes) -> Image:
    """Reads a picture: JPEG, PNG, WebP, GIF (its first frame), BMP, TIFF, PPM or AVIF.

    Args:
        source: path of a file, or its bytes.

    Returns:
        The picture, decoded.

    Raises:
        EncodingError: it is not there, is no picture of these kinds, is damaged, or is larger than
            `processing.video_containers.DEFAULT_MAX_PIXELS` or 256 MB; the message names it.
    """
    from PIL import Image, UnidentifiedImageError

    name = f"<{len(source)} bytes>" if isinstance(source, bytes) else os.fspath(source)
    try:
        content = source if isinstance(source, bytes) else _content(Path(source))
        with warnings.catch_warnings():
            # Its own limit is another; ours is checked before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.init()
            # Not every release of Pillow has AVIF.
            formats = [name for name in _FORMATS if name in Image.OPEN]
            image = Image.open(io.BytesIO(content), formats=formats)
            if image.width * image.height > DEFAULT_MAX_PIXELS:
                raise EncodingError(
                    f"{name}: its {image.width}x{image.height} pixels are more than the limit of {DEFAULT_MAX_PIXELS}"
                )
            image.load()
    except UnidentifiedImageError as error:
        raise EncodingError(
            f"{name}: is no picture (JPEG, PNG, WebP, GIF, BMP, TIFF, PPM or AVIF); a video is given as a clip"
        ) from error
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise EncodingError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return image


def _content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it cannot be read, or is too large.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise OSError(f"is larger than {_MAX_BYTES // 2**20} MB")
    return content
