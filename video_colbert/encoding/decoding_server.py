"""How decoding processes start; without imports, so that a command can have their server start while it loads."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import types
from collections.abc import Iterator
from multiprocessing.context import BaseContext

_PROCESS_MODULE = "video_colbert.encoding.decoding_process"


def decoding_context() -> BaseContext:
    """How decoding processes start: out of a server that has imported what they need, where there is one.

    The server is single-threaded, so forking it is safe, and a crashed process is replaced in milliseconds.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PROCESS_MODULE])
    return context


def start_decoding_server() -> None:
    """Has the server import what decoding processes need, beside whatever this process does next."""
    if decoding_context().get_start_method() == "forkserver":
        # Not on every platform.
        from multiprocessing import forkserver

        forkserver.ensure_running()


@contextlib.contextmanager
def without_main_module() -> Iterator[None]:
    """Starts processes that do not run the caller's script again, of which decoding needs nothing.

    `multiprocessing` imports the main script in each process that it does not fork, so a script without
    `if __name__ == "__main__":` would start itself over.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def default_processes() -> int:
    """One decoding process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
