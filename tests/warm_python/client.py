"""What is started in place of Python: asks the server for a fork of itself, and stands for it until it ends.

Started with `-S -E`, and imports little, so that it takes a few milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path

# Variables and options that Python itself reads when it starts, which a fork cannot follow.
_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "OMP_", "MKL_", "OPENBLAS_", "TORCH_", "PYTORCH_", "MALLOC_")
_SAME_ANYWAY = {"PYTHONUNBUFFERED", "PYTHONPATH"}
OPEN_FILES = Path("/proc/self/fd")
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    address, *arguments = sys.argv[1:]
    # What a Python gives to those that it starts, if it writes no compiled files.
    arguments = arguments[arguments[:1] == ["-B"] :]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    with connection.makefile("r") as answers:
        server = json.loads(answers.readline())
        if needs_its_own_python(arguments, server["environment"]):
            connection.close()
            os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - it is to be this process
        descriptors = [int(file.name) for file in OPEN_FILES.iterdir() if is_inherited(int(file.name))]
        request = {
            "arguments": arguments,
            "descriptors": descriptors,
            "folder": str(Path.cwd()),
            "environment": dict(os.environ),
            "ignored": [number for number in FORWARDED if signal.getsignal(number) is signal.SIG_IGN],
        }
        content = json.dumps(request).encode()
        # One that comes before there is a process to forward it to waits.
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        socket.send_fds(connection, [b"%12d" % len(content)], descriptors)
        connection.sendall(content)
        pid = int(answers.readline())
        for number in FORWARDED:
            signal.signal(number, lambda number, _: forward(number, pid))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        # Files that the fork has are to be closed when the fork closes them.
        for number in descriptors:
            os.close(number)
        status = int(answers.readline())
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def forward(number: int, pid: int) -> None:
    # It may have ended just now.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def needs_its_own_python(arguments: list[str], started_with: dict[str, str]) -> bool:
    """Whether options or variables are such as only a new process follows, or a standard file is closed."""
    names = {name for name in os.environ if name.startswith(_READ_AT_START)} - _SAME_ANYWAY
    if any(os.environ[name] != started_with.get(name) for name in names):
        return True
    if not all((OPEN_FILES / str(number)).is_symlink() for number in (0, 1, 2)):
        return True
    option = arguments[0] if arguments else "-"
    return option.startswith("-") and option not in ("-c", "-m", "-I")


def is_inherited(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:  # the folder of open files, while it was listed
        return False


main()
