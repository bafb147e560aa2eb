"""The queries that a user types at a prompt or pipes in, a line each."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import ModuleType
from typing import TextIO

from video_colbert.commands.arguments.typed_text import typed_text
from video_colbert.console import write_notice

_PROMPT = "search> "
_KEPT_LINES = 1000


def typed_queries(history: Path) -> Iterator[str]:
    """The queries of standard input, a line each: of a terminal with a prompt, until an empty line; else all of them.

    Empty lines of a pipe are no queries. Ctrl-C at the prompt drops what was typed.

    Args:
        history: file that keeps what was typed at the prompt.
    """
    lines = sys.stdin
    if lines is None:
        return
    if isinstance(lines, io.TextIOWrapper):
        # Bytes of another encoding are read as those of an argument are.
        lines.reconfigure(errors="surrogateescape")
    is_terminal = lines.isatty()
    if is_terminal:
        write_notice("Type what to look for; an empty line or Ctrl-D ends.")
    with _history(history) if is_terminal else nullcontext():
        while True:
            try:
                line = _next_line(lines, is_terminal=is_terminal)
            except KeyboardInterrupt:
                if not is_terminal:
                    raise
                write_notice("")
                continue
            if line is None or (is_terminal and not line.strip()):
                return
            if not line.strip():
                continue
            try:
                yield typed_text(line.strip())
            except argparse.ArgumentTypeError as error:
                write_notice(f"{error}.")


def _next_line(lines: TextIO, *, is_terminal: bool) -> str | None:
    """The next line; None at the end."""
    if is_terminal and sys.stdout is not None and sys.stdout.isatty():
        try:
            # With readline, which edits lines and knows earlier ones.
            return input(_PROMPT)
        except EOFError:
            write_notice("")
            return None
    if is_terminal and sys.stderr is not None:
        # What is written to standard output goes elsewhere.
        sys.stderr.write(_PROMPT)
        sys.stderr.flush()
    return lines.readline() or None


@contextmanager
def _history(file: Path) -> Iterator[None]:
    """Lets the prompt know the lines of earlier runs, and keeps those of this one."""
    readline = _readline()
    if readline is None:
        yield
        return
    with suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(_KEPT_LINES)
    try:
        yield
    finally:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(file)


def _readline() -> ModuleType | None:
    """The module, which a Python may be built without."""
    try:
        import readline
    except ImportError:
        return None
    return readline
