"""`multiprocessing` whose processes come from the server."""

from __future__ import annotations

from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.popen_spawn_posix import Popen
from multiprocessing.process import BaseProcess

from tests.warm_python.launching import warm_python


class _WarmProcess(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # noqa: N802 - the name that `multiprocessing` calls
        own = spawn.get_executable()
        spawn.set_executable(warm_python())
        try:
            return Popen(process_obj)
        finally:
            spawn.set_executable(own)


class _WarmContext(SpawnContext):
    Process = _WarmProcess


WARM = _WarmContext()
"""The context that starts new processes, as `multiprocessing.get_context("spawn")`, from `warm_python`."""
