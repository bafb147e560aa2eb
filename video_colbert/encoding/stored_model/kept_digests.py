"""Digests of large files in the user's cache folder, so that a model of a local folder is not read whole each time."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

from video_colbert.cache_folder import cache_folder
from video_colbert.encoding.media_files import content_digest
from video_colbert.whole_files import write_whole

logger = logging.getLogger(__name__)

_FILE = "digests.json"
# Smaller ones are read as fast as looked up.
_SMALLEST = 2**20
# A file that was changed within so many seconds before it was read may be changed again without its times telling:
# some file systems keep whole seconds, or two.
_UNSETTLED_SECONDS = 3.0
# Files that are remembered.
_MOST = 256


def kept_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; kept until the file's size, times or inode are other ones.

    The time of the last change of the inode (`ctime`) is one of them, which no program sets: a file that was changed
    in place is read again, whatever its size is and whatever time it was given.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    before = path.stat()
    if before.st_size < _SMALLEST:
        return content_digest(str(path))
    name, state = os.fsdecode(path.absolute()), _state(before)
    kept = _read().get(name)
    if kept is not None and kept[:-1] == state:
        return str(kept[-1])
    began = time.time()
    digest = content_digest(str(path))
    is_settled = began - max(before.st_mtime, before.st_ctime) > _UNSETTLED_SECONDS
    if is_settled and _state(path.stat()) == state:
        _keep(name, [*state, digest])
    return digest


def _state(status: os.stat_result) -> list[int | str]:
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read() -> dict[str, list[int | str]]:
    """What is kept; nothing where it cannot be read."""
    try:
        kept = json.loads((cache_folder() / _FILE).read_text(encoding="utf-8"))
        return {str(name): list(entry) for name, entry in kept.items() if len(entry) == len(_Entry)}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


_Entry = ("device", "inode", "size", "modified", "changed", "digest")


def _keep(name: str, entry: list[int | str]) -> None:
    kept = _read()
    kept.pop(name, None)
    kept[name] = entry
    path = cache_folder() / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(dict(list(kept.items())[-_MOST:])))
    except (OSError, ValueError) as error:
        logger.info("the digest of %s is not kept: %s", name, error)
