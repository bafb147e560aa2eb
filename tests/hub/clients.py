"""Real Hub clients in processes of their own, since huggingface_hub reads its address on import."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

from tests.warm_python import WARM, warm_python

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

# Put before code that must not see this package, which is installed where the tests run.
_HIDE_PACKAGES = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"modeling_video_colbert", "processing", "video_colbert", "dataset_builders"}:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Hidden())
"""


class HubClient:
    """Calls functions in one process that was started with other environment variables.

    Args:
        settings: the variables.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._executor = ProcessPoolExecutor(1, WARM, initializer=_set_environment, initargs=(dict(settings),))

    def __call__(
        self, function: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        return self._executor.submit(function, *args, **kwargs).result()

    def command_line(self, *arguments: object) -> tuple[int, str, str]:
        """Runs `video-colbert` and gives its exit code, output and notices."""
        return self(_run_command_line, *map(str, arguments))

    def close(self) -> None:
        self._executor.shutdown()


def run_without_packages(code: str, environment: Mapping[str, str]) -> str:
    """Runs code in a process where none of our packages can be imported, and gives its output."""
    command = [warm_python(), "-I", "-c", _HIDE_PACKAGES + code]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _set_environment(settings: Mapping[str, str]) -> None:
    os.environ.update(settings)


def _run_command_line(*arguments: str) -> tuple[int, str, str]:
    from video_colbert.cli import main

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()
