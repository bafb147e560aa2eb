"""A real terminal that a command runs in: what it shows, when, and the keys that a person presses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.warm_python import warm_python

COLUMNS = 80
CTRL_C = "\x03"
CTRL_D = "\x04"

# The command gets the terminal as its own, so that Ctrl-C reaches it and all its processes.
_TAKE_TERMINAL = """
import fcntl, os, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
option, *sys.argv = sys.argv[1:]
if option == "-m":
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    sys.argv.insert(0, option)
    runpy.run_path(option, run_name="__main__")
"""


class Terminal:
    """A command in a terminal of its own.

    Attributes:
        seen: all that it showed so far.
        times: when something was shown, in seconds of a monotonic clock, with what it was.
    """

    def __init__(self, *arguments: str | Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        # What the command starts is to be in its session, which the terminal's Ctrl-C goes to.
        own = {name: value for name, value in os.environ.items() if name != "VIDEO_COLBERT_WARM_PYTHON"}
        self.process = subprocess.Popen(
            [warm_python(), "-c", _TAKE_TERMINAL, *map(str, arguments)],
            stdin=side,
            stdout=side,
            stderr=side,
            cwd=folder,
            env={**own, "TERM": "xterm", "OMP_NUM_THREADS": "1", **environment},
            start_new_session=True,
        )
        os.close(side)
        self.seen = ""
        self.times: list[tuple[float, str]] = []
        self._taken = 0

    def expect(self, text: str, timeout: float = 60.0) -> str:
        """Waits until a text is shown; gives what was shown since the last one, up to it.

        Raises:
            AssertionError: it is not shown in time, or the command ends before.
        """
        deadline = time.monotonic() + timeout
        while (place := self.seen.find(text, self._taken)) < 0:
            assert time.monotonic() < deadline, f"{text!r} is not shown after {self.seen!r}"
            assert self._read(), f"the command ended without {text!r} after {self.seen!r}"
        shown, self._taken = self.seen[self._taken : place], place + len(text)
        return shown

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._terminal, keys.encode())

    def type_until(self, keys: str, text: str, timeout: float = 60.0) -> None:
        """Presses keys again and again until a text is shown.

        As a person would Ctrl-C: readline passes over one that comes while it draws, until the next key.

        Raises:
            AssertionError: as `expect`.
        """
        deadline = time.monotonic() + timeout
        while self.seen.find(text, self._taken) < 0 and time.monotonic() < deadline:
            self.type(keys)
            pause = time.monotonic() + 1.0
            while time.monotonic() < pause and self.seen.find(text, self._taken) < 0:
                assert self._read(), f"the command ended without {text!r} after {self.seen!r}"
        self.expect(text, timeout=1.0)

    def end(self, timeout: float = 60.0) -> int:
        """Waits until the command ends, reading what it shows; gives its exit code."""
        deadline = time.monotonic() + timeout
        while self._read():
            assert time.monotonic() < deadline, f"the command does not end after {self.seen!r}"
        return self.process.wait(timeout)

    def close(self) -> None:
        """Ends the command and all its processes, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._terminal)

    def _read(self) -> bool:
        """Reads what is shown within a short while; False once the command has closed the terminal."""
        if not select.select([self._terminal], [], [], 0.2)[0]:
            return True
        try:
            content = os.read(self._terminal, 65536)
        except OSError:
            # As Linux says that no process has it open any more.
            return False
        self.seen += content.decode(errors="replace")
        self.times.append((time.monotonic(), content.decode(errors="replace")))
        return bool(content)


@contextlib.contextmanager
def terminal(*arguments: str | Path, folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Runs Python with arguments in a terminal, in a folder, and leaves no process behind."""
    opened = Terminal(*arguments, folder=folder, environment=environment)
    try:
        yield opened
    finally:
        opened.close()
