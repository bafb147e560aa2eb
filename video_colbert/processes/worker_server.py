"""The server that worker processes start from; imports nothing heavy, so that it can come up while a command loads."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path

from video_colbert.errors import WorkerError

# A socket's path may have 107 bytes, and `multiprocessing` adds two names to that of the folder for temporary files.
_LONGEST_FOLDER = 70
_SHORT_FOLDER = "/tmp"  # noqa: S108 # a folder of random name, for this user only, is made in it
# Each start changes what all threads of the process see, and puts it back.
_starting = threading.RLock()


def worker_context(module: str) -> BaseContext:
    """How workers start: out of a server that has imported what they need, where there is one.

    The server is single-threaded, so forking it is safe, and a crashed worker is replaced in milliseconds.

    Args:
        module: what the server imports; the first call of a process decides.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


def start_worker_server(module: str) -> None:
    """Has the server import a module, beside whatever this process does next.

    Raises:
        WorkerError: the server cannot be started.
    """
    if worker_context(module).get_start_method() == "forkserver":
        # Not on every platform.
        from multiprocessing import forkserver

        with starting_processes():
            forkserver.ensure_running()


@contextlib.contextmanager
def starting_processes() -> Iterator[None]:
    """Makes the start of processes independent of the caller's script, of Ctrl-C and of long names of folders.

    Raises:
        WorkerError: the system refuses a process; the message says why.
    """
    try:
        with _starting, _without_main_module(), _without_interrupts(), _short_temporary_folder():
            yield
    except (ConnectionError, EOFError):
        # The server died meanwhile; the next attempt starts another.
        raise
    except OSError as error:
        raise WorkerError(
            f"worker processes cannot be started: {error}; set TMPDIR to a folder that can be written, for the socket "
            "that they are started by"
        ) from error


def default_workers() -> int:
    """One worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Lets processes not run the caller's script again, of which workers need nothing.

    `multiprocessing` imports the main script in each process that it does not fork, so a script without
    `if __name__ == "__main__":` would start itself over.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keeps Ctrl-C, which a terminal sends to all processes, from those that start; this process gets it afterwards.

    A process inherits which signals are blocked, from its first moment on.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It starts with the first process otherwise, and lets interrupts through again when it has.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Has `multiprocessing` put its sockets where their paths are short enough."""
    before = tempfile.tempdir
    # Made to see where, and whether one can be made there.
    with tempfile.TemporaryDirectory() as folder:
        is_too_long = len(os.fsencode(Path(folder).parent)) > _LONGEST_FOLDER
    if is_too_long:
        tempfile.tempdir = _SHORT_FOLDER
    try:
        yield
    finally:
        tempfile.tempdir = before
