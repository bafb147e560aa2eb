"""Showing a file in its folder, by the file manager of the machine's own screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from video_colbert.errors import NotServedError


def can_reveal() -> bool:
    """Whether this process has a screen and a file manager to show files with."""
    if sys.platform in ("darwin", "win32"):
        return True
    has_screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return has_screen and shutil.which("xdg-open") is not None


def reveal_file(path: Path) -> None:
    """Opens the folder of a file in the file manager, with the file chosen where that can be asked for.

    Args:
        path: absolute path of the file.

    Raises:
        NotServedError: the file manager cannot be started.
    """
    if sys.platform == "darwin":
        command = ["open", "-R", str(path)]
    elif sys.platform == "win32":
        command = ["explorer", f"/select,{path}"]
    else:
        command = ["xdg-open", str(path.parent)]
    try:
        subprocess.Popen(  # noqa: S603 - no shell; the path is one of the index, and absolute
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise NotServedError(f"the file manager cannot be started: {error.strerror}") from error
