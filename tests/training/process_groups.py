"""Runs a function on several gloo processes, as DistributedDataParallel has them."""

import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

# Loads torch and transformers once, in a process without threads of its own that others are forked from.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tests.training.process_groups", "video_colbert.modeling_video_colbert", "accelerate"]
)
_TIMEOUT_SECONDS = 100


def run_on_processes(folder: Path, world_size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Calls a module's function on every rank; returns what each returned, in the order of the ranks."""
    # As bytes: tensors would otherwise travel as shared memory, each with a file descriptor of its own.
    call = pickle.dumps((function, arguments))
    processes = [
        _CONTEXT.Process(target=_run_rank, args=(folder, rank, world_size, call)) for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_TIMEOUT_SECONDS)
    exit_codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert exit_codes == [0] * world_size, f"exit codes of the ranks (None: did not end): {exit_codes}"
    return [torch.load(folder / f"rank_{rank}.pt", weights_only=True) for rank in range(world_size)]


def _run_rank(folder: Path, rank: int, world_size: int, call: bytes) -> None:
    torch.set_num_threads(1)
    # As torchrun sets them, which is how Accelerate knows its place.
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}
    os.environ.update({name: str(value) for name, value in places.items()})
    os.environ.update({"GLOO_SOCKET_IFNAME": "lo", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"})
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size)
    function, arguments = pickle.loads(call)  # noqa: S301 - the parent's own
    result = function(*arguments)
    torch.save(result, folder / f"rank_{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
