"""Text files that are written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Writes a text file, encoded as UTF-8; an older file of that name stays until the new one is complete.

    Args:
        path: the file. What is no regular file, such as a pipe, is written to directly.
        text: all of its content.

    Raises:
        OSError: the file cannot be written; the older one is as it was.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    # A link stays one: what it points to is replaced.
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
