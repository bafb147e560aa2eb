"""A side of a benchmark in a process of its own, so that peak memory is its own."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def run_in_own_process(run_side: Callable[[str, str], None], side: str, folder: str) -> dict[str, Any]:
    """What a side measured.

    Args:
        run_side: takes the side's name and a folder, and saves what it measured there, in a file of that name.
        side: its name.
        folder: an empty folder, or one of earlier results.

    Raises:
        RuntimeError: the process failed.
    """
    process = multiprocessing.get_context("spawn").Process(target=run_side, args=(side, folder))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the process of {side!r} ended with {process.exitcode}")
    result: dict[str, Any] = torch.load(Path(folder) / side, weights_only=True)
    return result
