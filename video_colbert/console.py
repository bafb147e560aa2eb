"""What the command line tells its user: results on standard output, the rest on standard error, and exit codes.

Names, captions and metadata may hold anything, such as the control sequences of a terminal. Whatever is written passes
`printable`, and a console without letters for a character gets its number.
"""

import logging
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum
from typing import TextIO

from video_colbert.errors import OutputError

# Control characters, halves of characters, line separators, and what changes the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class ExitCode(IntEnum):
    """Exit codes; besides these, argparse's own 2 for a command line that is not understood."""

    OK = 0
    FAILED = 1
    SOME_BAD = 3
    INTERRUPTED = 130


class NoticeHandler(logging.Handler):
    """Writes the log's records as notices."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        write_notice(self.format(record))


def printable(text: str) -> str:
    r"""Text on one line that no terminal obeys: control characters and the like as escapes, such as `\x1b` and `\n`.

    Example:
        >>> print(printable("red\x1b[31m.mp4"))
        red\x1b[31m.mp4
    """
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def write_result(text: str) -> None:
    """Writes what was asked for, so that it can be piped into a file or another program.

    Where nobody reads it, a closed pipe or no standard output, nothing is written.

    Raises:
        OutputError: it cannot be written, as on a full disk.
    """
    try:
        _write(sys.stdout, text)
    except OSError as error:
        raise OutputError(f"standard output cannot be written ({error.strerror})") from error


def write_paths(paths: Iterable[str]) -> None:
    """Writes paths, one a line: exactly as they are into a pipe or a file, as `write_result` does to a terminal.

    Raises:
        OutputError: as `write_result`.
    """
    if sys.stdout is None or sys.stdout.isatty():
        write_result("\n".join(paths))
        return
    # Bytes, since a console's letters may not have all that a name can hold.
    content = b"".join(os.fsencode(path) + b"\n" for path in paths)
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        raise OutputError(f"standard output cannot be written ({error.strerror})") from error


def write_notice(text: str) -> None:
    """Writes what a person should know beside the result, if there is where to."""
    with suppress(OSError):
        _write(sys.stderr, text)


def flush_results() -> None:
    """Writes what others left in standard output's buffer, where somebody reads it."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:
            _discard(sys.stdout)


def open_standard_streams() -> None:
    """Opens those of the three standard streams that are closed, onto nothing, so that no file takes their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as the process


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    shown = "\n".join(map(printable, text.split("\n"))) + "\n"
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _discard(stream)
    except OSError:
        _discard(stream)
        raise


def _discard(stream: TextIO) -> None:
    """Lets a stream that cannot be written lead nowhere: Python writes what it still holds when the process ends."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
