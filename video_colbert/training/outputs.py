"""What a run leaves behind: models that load anywhere, with their results."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from huggingface_hub import HfApi
from safetensors import SafetensorError
from torch import nn

from video_colbert.errors import VideoColBERTError
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.hub import publish_checkpoint, write_evaluation_results, write_model_card, write_self_test
from video_colbert.hub.checkpoint_files import TRAINING_RUN_FILE
from video_colbert.hub_errors import hub_errors
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments

BEST = "best"
"""Folder of the model that did best on the validation split, below the run's."""

LAST = "last"
"""Folder of the model of the last evaluation, below the run's."""


class TrainingWriteError(VideoColBERTError):
    """A checkpoint or model of a run cannot be written, such as on a full disk."""


@contextmanager
def writing_for_training(folder: Path) -> Iterator[None]:
    """Turns what the libraries raise where a folder cannot be written into one sentence.

    Args:
        folder: What is written.

    Raises:
        TrainingWriteError: In place of their errors.
    """
    try:
        yield
    # torch raises a RuntimeError on a full disk.
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TrainingWriteError(
            f"{folder} cannot be written ({reason}); what was written before it is whole, so with room again go on "
            "with --resume_from_checkpoint latest."
        ) from error


def save_model(
    accelerator: Accelerator,
    model: nn.Module,
    processor: VideoColBERTProcessor,
    arguments: TrainingArguments,
    results: Sequence[EvaluationResult],
    name: str,
    *,
    steps: int,
    seconds: float,
) -> None:
    """Writes model, processor, what is known of the run, self-test and model card; called on every process.

    The folder is replaced as a whole, so that one left by an interruption is the old one or the new one.

    Args:
        accelerator: Of the run; its main process writes.
        model: As `accelerator.prepare` returned it.
        processor: Of the model.
        arguments: Of the run.
        results: Of the validation.
        name: The folder's name below `output_dir`.
        steps: Done so far.
        seconds: What they took.

    Raises:
        TrainingWriteError: If the folder cannot be written; the one before is whole.
    """
    if accelerator.is_main_process:
        unwrapped = accelerator.unwrap_model(model)
        folder = Path(arguments.output_dir) / name
        unfinished, old = folder.with_suffix(".unfinished"), folder.with_suffix(".old")
        with writing_for_training(folder):
            for left_over in (unfinished, old):
                shutil.rmtree(left_over, ignore_errors=True)
            unwrapped.save_pretrained(unfinished)
            processor.save_pretrained(unfinished)
            arguments.save(unfinished / "training_arguments.json")
            run = json.dumps(_run_facts(accelerator, steps, seconds), indent=2)
            (unfinished / TRAINING_RUN_FILE).write_text(run + "\n", encoding="utf-8")
            write_evaluation_results(unfinished, results)
            write_self_test(unfinished, unwrapped, processor)
            write_model_card(unfinished, repo_id=arguments.hub_model_id or name)
            if folder.exists():
                folder.rename(old)
            unfinished.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def _run_facts(accelerator: Accelerator, steps: int, seconds: float) -> dict[str, Any]:
    """What a reader of the card is told of a run: how long, on what, by which libraries."""
    is_gpu = accelerator.device.type == "cuda"
    return {
        "steps": steps,
        "hours": round(seconds / 3600, 4),
        "processes": accelerator.num_processes,
        "device": torch.cuda.get_device_name(accelerator.device) if is_gpu else accelerator.device.type.upper(),
        "mixed_precision": accelerator.mixed_precision,
        "libraries": {name: version(name) for name in ("torch", "transformers", "accelerate")},
    }


def check_hub_access() -> None:
    """Asks the Hub who the token belongs to, before a run that ends with a push.

    Raises:
        HubError: If the Hub refuses the token or cannot be reached.
    """
    with hub_errors("The model could not be pushed at the end of the run"):
        HfApi().whoami()


def push_best_model(arguments: TrainingArguments) -> str:
    """Publishes the run's best model on the Hub; called on the main process.

    Returns:
        The address of the commit.

    Raises:
        HubError: If the Hub refuses it or cannot be reached.
    """
    published = publish_checkpoint(
        Path(arguments.output_dir) / BEST, str(arguments.hub_model_id), private=arguments.hub_private
    )
    return published.url


__all__ = [
    "BEST",
    "LAST",
    "TrainingWriteError",
    "check_hub_access",
    "push_best_model",
    "save_model",
    "writing_for_training",
]
