"""The file to start in place of `sys.executable`, and the server behind it."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_FOLDER = "VIDEO_COLBERT_WARM_PYTHON"
_CLIENT = Path(__file__).with_name("client.py")
_SERVER = Path(__file__).with_name("server.py")
_TIMEOUT_SECONDS = 120.0


def warm_python() -> str:
    """An executable that behaves as `sys.executable`, without the seconds in which torch and others are imported.

    Each process is a fork of a server that has imported other people's libraries, and nothing of this project, of
    Transformers or of the Hub's client, which read the environment when they are imported. It has the environment,
    folder, files, arguments and exit code that a process of its own would have, and dies with the process that was
    started in its place. Not the same: it is in a session of its own, so a signal to the group of the process does not
    reach those that it starts; libraries are in `sys.modules` before they are asked for; strings have one hash in all.

    All processes of a run of tests share one server, which is started when it is first asked for.
    """
    folder = Path(os.environ[_FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        executable = folder / "python"
        if not executable.exists():
            _start_server(folder)
            words = (sys.executable, "-S", "-E", str(_CLIENT), str(folder / "socket"))
            executable.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            executable.chmod(0o755)
    return str(executable)


def make_folder() -> None:
    """Makes the folder of a server for this process and those that it starts."""
    # Names of sockets have at most 107 characters.
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="warm", dir="/tmp")
    Path(os.environ[_FOLDER], "owner").write_text(str(os.getpid()))


def end_server() -> None:
    """Ends the server, if one was started, and removes its folder."""
    folder = Path(os.environ.pop(_FOLDER))
    pid = folder / "pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGTERM)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _start_server(folder: Path) -> None:
    # The first process that needs it may end before the last one that does, so it is nobody's child.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, _SERVER, folder],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not (folder / "pid").exists():
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
