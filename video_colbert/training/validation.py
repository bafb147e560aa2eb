"""Validation during training, shared out over the processes."""

from dataclasses import dataclass, replace
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from video_colbert.data.opened.dataset_names import shown_name
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import PretrainedPair
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.evaluation.encoded_split import encode_rows, encode_split
from video_colbert.evaluation.retrieval import EvaluationResult, evaluate_split
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.calibration.level_weights import level_weights_of_split
from video_colbert.training.training_data import TrainingData


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        results: The metrics of every level in both directions.
        bad_videos: Videos that are missing or could not be decoded, id to reason.
    """

    results: list[EvaluationResult]
    bad_videos: dict[str, str]

    @property
    def selection_recall(self) -> float:
        """The text-to-video R@1 of the summed score, in percent: what checkpoints are chosen by."""
        return next(
            result.metrics["R@1"]
            for result in self.results
            if result.level == "sum" and result.direction == "text_to_video"
        )


def validate(
    accelerator: Accelerator,
    model: nn.Module,
    processor: VideoColBERTProcessor,
    data: TrainingData,
    arguments: TrainingArguments,
) -> Validation:
    """Evaluates the model on the validation rows; called on every process.

    Args:
        accelerator: Of the run.
        model: As `accelerator.prepare` returned it; left in training mode.
        processor: Of the model.
        data: The run's rows.
        arguments: Of the run.

    Returns:
        The metrics, on every process.

    Raises:
        ValueError: No validation video could be encoded, or they have no caption.
    """
    unwrapped = accelerator.unwrap_model(model).eval()
    reference = ModelReference(arguments.output_dir, "in training")
    encoder = VideoColBERTEncoder(PretrainedPair(unwrapped, processor, reference))
    rows = range(accelerator.process_index, len(data.validation), accelerator.num_processes)
    encoded: list[Any] = encode_rows(
        encoder, [data.validation[row] for row in rows], batch_size=arguments.per_device_eval_batch_size
    )
    pairs = gather_object(list(zip(rows, encoded, strict=True)))
    videos = [video for _, video in sorted(pairs, key=lambda pair: pair[0])]
    split = encode_split(
        encoder, list(data.validation), videos=videos, batch_size=arguments.per_device_eval_batch_size
    )
    if arguments.fit_level_weights:
        config = unwrapped.config
        config.level_weights = level_weights_of_split(split, config.score_levels)
        split = replace(split, queries=split.queries.with_level_weights(config.level_weights))
    results = evaluate_split(
        split,
        dataset=shown_name(arguments.dataset),
        protocol=arguments.protocol,
        split_name=data.validation_split,
        selection=data.selection,
    )
    unwrapped.train()
    return Validation(results, {str(bad.source): bad.reason for bad in split.bad})


__all__ = ["Validation", "validate"]
