"""Validation during training, shared out over the processes."""

from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from processing import VideoColBERTProcessor
from video_colbert.encoding import VideoColBERTEncoder
from video_colbert.evaluation.retrieval import EvaluationResult, encode_rows, encode_split, evaluate_split
from video_colbert.pretrained import ModelReference, PretrainedPair
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.training_data import TrainingData


def validate(
    accelerator: Accelerator,
    model: nn.Module,
    processor: VideoColBERTProcessor,
    data: TrainingData,
    arguments: TrainingArguments,
) -> list[EvaluationResult]:
    """Evaluates the model on the validation rows; called on every process.

    Args:
        accelerator: Of the run.
        model: As `accelerator.prepare` returned it; left in training mode.
        processor: Of the model.
        data: The run's rows.
        arguments: Of the run.

    Returns:
        The metrics of every level in both directions, on every process.
    """
    unwrapped = accelerator.unwrap_model(model).eval()
    reference = ModelReference(arguments.output_dir, "in training")
    encoder = VideoColBERTEncoder(PretrainedPair(unwrapped, processor, reference, is_zero_shot=False))
    rows = range(accelerator.process_index, len(data.validation), accelerator.num_processes)
    encoded: list[Any] = encode_rows(
        encoder, [data.validation[row] for row in rows], batch_size=arguments.per_device_eval_batch_size
    )
    pairs = gather_object(list(zip(rows, encoded, strict=True)))
    videos = [video for _, video in sorted(pairs, key=lambda pair: pair[0])]
    split = encode_split(
        encoder, list(data.validation), videos=videos, batch_size=arguments.per_device_eval_batch_size
    )
    results = evaluate_split(
        split,
        dataset=arguments.dataset,
        protocol=arguments.protocol,
        split_name=data.validation_split,
        selection=data.selection,
    )
    unwrapped.train()
    return results


def selection_recall(results: list[EvaluationResult]) -> float:
    """Returns the text-to-video R@1 of the summed score, in percent: what checkpoints are chosen by."""
    return next(
        result.metrics["R@1"] for result in results if result.level == "sum" and result.direction == "text_to_video"
    )


__all__ = ["selection_recall", "validate"]
