"""What a run leaves behind: models that load anywhere, with their results."""

import json
from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator
from torch import nn

from processing import VideoColBERTProcessor
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.hub import publish_checkpoint
from video_colbert.training.arguments import TrainingArguments


def save_model(
    accelerator: Accelerator,
    model: nn.Module,
    processor: VideoColBERTProcessor,
    arguments: TrainingArguments,
    results: Sequence[EvaluationResult],
    name: str,
) -> None:
    """Writes model, processor, arguments and validation results to a folder of the run; called on every process.

    Args:
        accelerator: Of the run; its main process writes.
        model: As `accelerator.prepare` returned it.
        processor: Of the model.
        arguments: Of the run.
        results: Of the validation.
        name: The folder's name below `output_dir`.
    """
    if accelerator.is_main_process:
        folder = Path(arguments.output_dir) / name
        accelerator.unwrap_model(model).save_pretrained(folder)
        processor.save_pretrained(folder)
        arguments.save(folder / "training_arguments.json")
        report = json.dumps([result.as_dict() for result in results], indent=2)
        (folder / "evaluation.json").write_text(report + "\n", encoding="utf-8")
    accelerator.wait_for_everyone()


def push_best_model(arguments: TrainingArguments) -> None:
    """Publishes the run's best model on the Hub; called on the main process."""
    publish_checkpoint(Path(arguments.output_dir) / "best", str(arguments.hub_model_id), private=arguments.hub_private)


__all__ = ["push_best_model", "save_model"]
