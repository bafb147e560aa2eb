"""Whether a browser plays a file as it is, found out once for each file."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from video_colbert.encoding.media_files import is_remote
from video_colbert.excerpts import browser_plays

_KEPT = 10_000


def plays_as_it_is(path: str) -> bool:
    """Whether a browser plays a file; else an excerpt of it is made for the page.

    Args:
        path: of the file; what is at an address, or gone, does not play.
    """
    if is_remote(path):
        return False
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return False
    return _plays(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(_KEPT)
def _plays(path: str, modified: int, size: int) -> bool:
    """As above, of a file in one state."""
    return browser_plays(os.fspath(path))
