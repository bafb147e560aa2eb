"""Whether mteb is installed, asked before anything that takes long."""

from __future__ import annotations

from importlib.util import find_spec

from video_colbert.errors import MissingExtraError


def check_mteb_installed() -> None:
    """Checks that mteb can be imported, without importing it.

    Raises:
        MissingExtraError: the `mteb` extra is not installed.
    """
    if find_spec("mteb") is None:
        raise MissingExtraError(
            "an evaluation by mteb needs the package mteb, which is not installed: pip install 'video-colbert[mteb]'"
        )
