"""Times and names of videos as people read them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from video_colbert.encoding.media_files import is_remote


def format_seconds(seconds: float) -> str:
    """Seconds as minutes and seconds with one decimal, such as 1:02.5."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"


def short_name(video: str) -> str:
    """A video's path as one would type it here: relative if it lies below the working directory; a URL as it is."""
    if is_remote(video):
        return video
    try:
        relative = os.path.relpath(video)
    except (ValueError, OSError):  # on another drive, or the working directory is gone
        return video
    return video if relative.startswith(os.pardir) else relative


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
