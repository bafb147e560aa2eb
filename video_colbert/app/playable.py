"""Whether a browser plays a file as it is, found out once for each file."""

from __future__ import annotations

from pathlib import Path

_PLAYED = frozenset((".mp4", ".m4v", ".webm"))


def plays_as_it_is(path: str) -> bool:
    """Whether a browser plays a file; else an excerpt of it is made for the page.

    Args:
        path: of the file, or its URL.
    """
    return Path(path).suffix.lower() in _PLAYED
