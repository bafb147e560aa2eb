"""Errors of LanceDB in one sentence, which names the damaged file where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from video_colbert.errors import IndexStoreError

# The last bytes of every whole data file and manifest.
_MAGIC = b"LANC"
# What a storage service answered, or what the system said of a connection.
_STORAGE_REASONS = (r"<Message>([^<]+)</Message>", r"message: \"([^\"]+)\"")
_RUST_NOISE = re.compile(r"lance error: |LanceError\(\w+\): |,? ?/\S+\.rs:\d+(:\d+)?")
_LONGEST = 300


@contextmanager
def clear_errors(location: str, problem: str) -> Iterator[None]:
    """Turns what LanceDB raises within the block into an `IndexStoreError`.

    Args:
        location: folder or address of the index.
        problem: what could not be done with it, such as "cannot be read".

    Raises:
        IndexStoreError: LanceDB raised an error.
    """
    try:
        yield
    except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:
        if damaged := _truncated_file(location):
            raise IndexStoreError(f"{location} is damaged: {damaged} is truncated") from error
        raise IndexStoreError(f"{location} {problem} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    for pattern in _STORAGE_REASONS:
        if found := re.findall(pattern, text):
            return str(found[-1])
    lines = _RUST_NOISE.sub("", text).splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= _LONGEST else f"{lines[0][:_LONGEST]}..."


def _truncated_file(location: str) -> str | None:
    """A file that lacks its end, by its path in the index; None for a location that is no folder.

    Files get their final names when they are whole, so one without its end was damaged afterwards.
    """
    folder = Path(location)
    try:
        for pattern in ("*.lance/_versions/*.manifest", "*.lance/data/*.lance"):
            for path in sorted(folder.glob(pattern)):
                with path.open("rb") as file:
                    file.seek(0, 2)
                    file.seek(max(0, file.tell() - len(_MAGIC)))
                    if file.read() != _MAGIC:
                        return str(path.relative_to(folder))
    except OSError:
        return None
    return None
