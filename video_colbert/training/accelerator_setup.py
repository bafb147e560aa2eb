"""Accelerate, set up so that no process trains a copy of the run on its own."""

import os
from pathlib import Path

import torch
from accelerate import Accelerator

from video_colbert.training.arguments import TrainingArguments

# What Accelerate's launcher sets, or Accelerate itself where a program asks for one of them.
_SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}


def build_accelerator(arguments: TrainingArguments) -> Accelerator:
    """Builds the accelerator of a run.

    Args:
        arguments: Of the run.

    Returns:
        The accelerator, on as many processes as the launcher started.

    Raises:
        ValueError: If the configuration shards the model, or Accelerate did not join the launcher's processes, each of
            which would then train on its own, or the precision is none that this machine has, or a tracker is unknown
            or not installed.
    """
    refuse_sharding()
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


def refuse_sharding() -> None:
    """Refuses configurations of Accelerate under which no process holds the whole model.

    The loss meets the model outside its forward pass: it scores tokens, and takes gradients of the temperature and the
    bias; under FSDP and DeepSpeed these are shards or views of a buffer there.

    Raises:
        ValueError: If Accelerate is configured for one of them.
    """
    for variable, name in _SHARDING.items():
        if os.environ.get(variable, "").lower() in ("true", "1", "yes", "y", "on", "t"):
            raise ValueError(
                f"Accelerate is configured for {name}, which shards the model, and each process must hold all of it; "
                "use distributed_type MULTI_GPU (`accelerate launch --multi_gpu`), with gradient_checkpointing and "
                "smaller micro-batches to save memory."
            )


__all__ = ["build_accelerator", "refuse_sharding"]
