"""The server: imports what takes long, and makes a fork of itself for each process that is asked for."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
import types
from multiprocessing import process, spawn
from pathlib import Path
from typing import Any, NoReturn

# What Transformers, LanceDB, Qdrant's client and PyAV import of others, none of which asks for the environment.
LIBRARIES = (
    "torch",
    "torch._dynamo",
    "torch.distributed.tensor",
    "scipy.optimize",
    "sklearn.metrics",
    "pyarrow.dataset",
    "lance_namespace",
    "qdrant_client.models",
    "tokenizers",
    "safetensors.torch",
    "httpx",
    "requests",
    "PIL.Image",
    "av",
    "pandas",
)
# What reads the environment when it is imported, or is what the tests are about.
NOT_HELD = {"transformers", "huggingface_hub", "datasets", "accelerate", "lancedb", "video_colbert"}


def main(folder: Path) -> list[str]:
    """Serves until it is ended or its owner is gone; in a fork, gives the arguments that it was started with."""
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    held = NOT_HELD & sys.modules.keys()
    if held:
        sys.exit(f"{sorted(held)} would be imported before a process has its environment")
    started_with = dict(os.environ)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # A collection in a fork would copy every page that these objects lie on.
    gc.collect()
    gc.freeze()
    (folder / "pid").write_text(str(os.getpid()))
    owner = Path("/proc", (folder / "owner").read_text())
    while True:
        while not select.select([listener], [], [], 5)[0]:
            if not owner.exists():
                shutil.rmtree(folder, ignore_errors=True)
                sys.exit()
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.sendall(json.dumps({"environment": started_with}).encode() + b"\n")
        request, descriptors = receive(connection)
        if request is None:
            os._exit(0)
        pid = os.fork()
        if not pid:
            connection.close()
            become(request, descriptors)
            return request["arguments"]
        watch(connection, pid, descriptors)


def receive(connection: socket.socket) -> tuple[Any, list[int]]:
    """What a process is to be, and the files that it is to have; None from a client that needs a Python of its own."""
    length, descriptors, _, _ = socket.recv_fds(connection, 12, 250)
    if not length:
        return None, []
    content = b""
    while len(content) < int(length):
        content += connection.recv(int(length) - len(content))
    return json.loads(content), descriptors


def watch(connection: socket.socket, pid: int, descriptors: list[int]) -> None:
    """Tells the client of the process and of its end, and ends the process if the client is gone."""
    for number in {*descriptors, 0, 1, 2}:
        os.close(number)
    connection.sendall(b"%d\n" % pid)
    ended = os.pidfd_open(pid)
    if ended not in select.select([connection, ended], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    with contextlib.suppress(OSError):
        connection.sendall(b"%d\n" % status)
    os._exit(0)


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Takes the session, files, folder and environment that a process of its own would have."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = request["descriptors"]
    # First out of the way of the numbers that they are to have.
    free = max(*wanted, *descriptors) + 1
    moved = [os.dup2(number, free + place) for place, number in enumerate(descriptors)]
    for number in descriptors:
        os.close(number)
    for number, target in zip(moved, wanted, strict=True):
        os.dup2(number, target)
        os.close(number)
    os.chdir(request["folder"])
    process.ORIGINAL_DIR = request["folder"]  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = standard_file(1, "strict")
    sys.stderr = standard_file(2, "backslashreplace")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)


def standard_file(number: int, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    lines, at_once = raw.isatty() or number == 2, "PYTHONUNBUFFERED" in os.environ
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors, line_buffering=lines, write_through=at_once)


def run(arguments: list[str]) -> None:
    """What Python does with arguments."""
    if "VIDEO_COLBERT_WARM_PYTHON" in os.environ:
        # For processes that it starts in turn.
        spawn.set_executable(str(Path(os.environ["VIDEO_COLBERT_WARM_PYTHON"], "python")))
    option, *rest = arguments
    if option == "-I":
        option, *rest = rest
    else:
        added = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
        sys.path[:0] = ["" if option in ("-c", "-m") else str(Path(option).absolute().parent), *added]
    if option == "-c":
        code, *rest = rest
        sys.argv = ["-c", *rest]
        # Processes that it starts look into the main module for a file to import.
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        exec(compile(code, "<string>", "exec", dont_inherit=True), vars(module))  # noqa: S102 - what a test asks for
    elif option == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [option, *rest]
        runpy.run_path(option, run_name="__main__")


def run_and_end(arguments: list[str]) -> NoReturn:
    """Runs, and ends as Python does, but does not take apart the libraries, which takes a second."""
    code: Any = 0
    try:
        run(arguments)
    except SystemExit as stopped:
        code = stopped.code
    except BaseException as error:
        traceback.print_exception(error)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if not (code is None or isinstance(code, int)):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        if not sys.stdout.closed:
            sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"Exception ignored: {error!r}\n")
        code = 120
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code or 0)


if __name__ == "__main__":
    sys.path.pop(0)
    run_and_end(main(Path(sys.argv[1])))
