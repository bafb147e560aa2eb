"""Accelerate, set up so that no process trains a copy of the run on its own."""

import os
from pathlib import Path

import torch
from accelerate import Accelerator

from video_colbert.training.arguments import TrainingArguments


def build_accelerator(arguments: TrainingArguments) -> Accelerator:
    """Builds the accelerator of a run.

    Args:
        arguments: Of the run.

    Returns:
        The accelerator, on as many processes as the launcher started.

    Raises:
        ValueError: If Accelerate did not join the launcher's processes, each of which would then train on its own, or
            the precision is none that this machine has, or a tracker is unknown or not installed.
    """
    accelerator = Accelerator(
        # Where a launcher starts several processes on a machine without an accelerator, Accelerate (1.15) makes a
        # group of them only if it is told that the processor is what to train on.
        cpu=not torch.accelerator.is_available(),
        mixed_precision=arguments.mixed_precision,
        log_with=arguments.report_to or None,
        project_dir=Path(arguments.output_dir),
    )
    num_launched = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != num_launched:
        raise ValueError(
            f"The launcher started {num_launched} processes, but Accelerate works with {accelerator.num_processes}; "
            "start train.py by `accelerate launch --multi_gpu` or by `torchrun`."
        )
    # Accelerate leaves out a tracker whose package is missing, and says nothing.
    found = [str(tracker) for tracker in accelerator.log_with]
    if missing := [name for name in arguments.report_to if name != "all" and name not in found]:
        raise ValueError(f"report_to names {', '.join(missing)}, which is not installed here; install it first.")
    return accelerator


__all__ = ["build_accelerator"]
