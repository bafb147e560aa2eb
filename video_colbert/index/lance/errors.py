"""Errors of LanceDB in one sentence, which names the damaged file where there is one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
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
_RAISED = (RuntimeError, ValueError, OSError, MemoryError, pa.ArrowException)
_PANICS = ("PanicException", "RustPanic")


@contextmanager
def reading(location: str) -> Iterator[None]:
    """Turns what LanceDB raises while it reads into an `IndexStoreError`, which names files that lack their end.

    Args:
        location: folder or address of the index.

    Raises:
        IndexStoreError: LanceDB raised an error.
    """
    try:
        yield
    except BaseException as error:
        if not _is_of_lance(error):
            raise
        if truncated := _truncated_files(location):
            raise IndexStoreError(f"{location} is damaged: {', '.join(truncated)} is truncated") from error
        raise IndexStoreError(f"{location} cannot be read ({_reason(error)})") from error


@contextmanager
def writing(location: str) -> Iterator[None]:
    """Turns what LanceDB raises while it writes into an `IndexStoreError`; Lance commits a change as a whole or not.

    Args:
        location: folder or address of the index.

    Raises:
        IndexStoreError: LanceDB raised an error.
    """
    try:
        yield
    except BaseException as error:
        if not _is_of_lance(error):
            raise
        raise IndexStoreError(
            f"{location} cannot be written; what was stored before is kept ({_reason(error)})"
        ) from error


def repeat_preempted(change: Callable[[], None]) -> None:
    """Makes a change, again whenever another process changed the same at that moment and was faster.

    Args:
        change: looks at the latest version and writes under `writing`.

    Raises:
        IndexStoreError: it fails for another reason.
    """
    while True:
        try:
            return change()
        except IndexStoreError as error:
            if "Retryable commit conflict" not in str(error.__cause__):
                raise


def _is_of_lance(error: BaseException) -> bool:
    """Whether LanceDB raised an error; a panic of Rust is no `Exception`, and its class has no public name."""
    return isinstance(error, _RAISED) or type(error).__name__ in _PANICS


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    for pattern in _STORAGE_REASONS:
        if found := re.findall(pattern, text):
            return str(found[-1])
    lines = _RUST_NOISE.sub("", text).splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= _LONGEST else f"{lines[0][:_LONGEST]}..."


def _truncated_files(location: str) -> list[str]:
    """Files that lack their end, by their path in the index; none for a location that is no folder.

    A write that failed may leave such a file too, which belongs to no version.
    """
    folder = Path(location)
    truncated = []
    for pattern in ("*.lance/_versions/*.manifest", "*.lance/data/*.lance"):
        for path in sorted(folder.glob(pattern)):
            try:
                with path.open("rb") as file:
                    file.seek(-min(len(_MAGIC), path.stat().st_size), os.SEEK_END)
                    is_whole = file.read() == _MAGIC
            except OSError:
                continue
            if not is_whole:
                truncated.append(str(path.relative_to(folder)))
    return truncated
