"""The user's cache folder: what is made again whenever it is missing."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder that `VIDEO_COLBERT_CACHE` names; else `video-colbert` in `XDG_CACHE_HOME`, or in `~/.cache`."""
    named = os.environ.get("VIDEO_COLBERT_CACHE")
    if named:
        return Path(named).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # By the standard, a path that is not absolute is none.
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "video-colbert"
