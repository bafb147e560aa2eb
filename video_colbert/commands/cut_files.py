"""Names of files that are cut, none of which is there yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from video_colbert.errors import ExcerptError

# What some file system does not take in a name.
_UNUSABLE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]')
# File systems take 255 bytes; a number and an ending come on top.
_LONGEST = 200


@contextmanager
def free_file(folder: Path, name: str, ending: str) -> Iterator[Path]:
    """A file of a name that no other has, kept free for as long as it is written; gone again after an error.

    Args:
        folder: made if need be.
        name: of the file; what no file system takes becomes `_`, and a number is added where one has that name.
        ending: such as ".mp4".

    Yields:
        The file, which is there and empty.

    Raises:
        ExcerptError: the folder cannot be written.
    """
    usable = _UNUSABLE.sub("_", name).encode()[:_LONGEST].decode(errors="ignore")
    number = 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            file = folder / f"{usable}{'' if number == 1 else f'_{number}'}{ending}"
            try:
                file.open("xb").close()
                break
            except FileExistsError:
                number += 1
    except OSError as error:
        raise ExcerptError(f"{folder}: cannot be written: {error.strerror or error}") from error
    try:
        yield file
    except BaseException:
        file.unlink(missing_ok=True)
        raise
