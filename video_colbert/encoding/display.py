"""Times, names and frames of videos as people see them."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from video_colbert.console import printable
from video_colbert.encoding.media_files import is_remote

if TYPE_CHECKING:
    import numpy as np

THUMBNAIL_HEIGHT = 120
# A window that holds the frame on show at its start and, as no two frames are so near, no other.
_INSTANT = 1e-4


def format_seconds(seconds: float) -> str:
    """Seconds as minutes and seconds with one decimal, such as 1:02.5; from an hour on with hours, 1:01:02.5."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def short_name(video: str) -> str:
    """A video's path as one would type it here: relative if it lies below the working directory; a URL as it is.

    What no terminal should obey, and line breaks, are written as escapes.
    """
    if is_remote(video):
        return printable(video)
    try:
        relative = os.path.relpath(video)
    except (ValueError, OSError):  # on another drive, or the working directory is gone
        return printable(video)
    return printable(video if relative.startswith(os.pardir) else relative)


def link_to(video: str, folder: Path) -> str:
    """The address by which a page in a folder reaches a video: relative to it for a file, a URL as it is.

    Args:
        video: path or URL.
        folder: where the page is.
    """
    if is_remote(video):
        return quote(video, safe="%/:=&?~#+!$,;'@()*[]")
    try:
        relative = os.path.relpath(video, folder)
    except ValueError:  # on another drive, which no relative path reaches
        return Path(video).absolute().as_uri()
    return quote(Path(relative).as_posix())


def frame_picture(video: str, time: float) -> str:
    """The frame that is on show at a time, as a small JPEG in a data URI.

    Args:
        video: path of the file.
        time: seconds from the start of the video.

    Raises:
        VideoDecodingError: there is no such frame.
    """
    from video_colbert.processing import decode_video

    return picture_uri(decode_video(video, 1, start=time, end=time + _INSTANT).frames[0])


def picture_uri(frame: np.ndarray) -> str:
    """A frame as a small JPEG in a data URI.

    Args:
        frame: uint8 [H, W, 3].
    """
    from PIL import Image

    image = Image.fromarray(frame)
    width = max(1, round(image.width * THUMBNAIL_HEIGHT / image.height))
    buffer = io.BytesIO()
    image.resize((width, THUMBNAIL_HEIGHT)).save(buffer, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
