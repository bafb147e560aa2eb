"""The model and the processor that a run starts from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from video_colbert.encoding.pretrained import PretrainedPair, check_model_files, load_model_files
from video_colbert.encoding.stored_model.model_files import ModelFiles, find_model_files
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import ModelLoadError
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.optimization import freeze


def build_model_and_processor(arguments: TrainingArguments) -> PretrainedPair:
    """Builds both from a backbone, or loads both from a Video-ColBERT checkpoint.

    Weights are float32: mixed precision lowers activations, not weights.

    Args:
        arguments: Of the run.

    Returns:
        The model, in training mode with frozen towers frozen, and the processor.

    Raises:
        ValueError: If `num_frames` is more than the model has positions for, or its levels have no weights to fit.
        ModelLoadError: If a part of the model is missing or damaged, or it is of the other kind.
        HubError: If there is no such model.
    """
    name = arguments.model if arguments.model is not None else str(arguments.backbone)
    files = find_model_files(name, revision=arguments.revision)
    pair = _checkpoint(files, arguments) if arguments.model is not None else _over_backbone(files, arguments)
    model, config = pair.model, pair.model.config
    has_positions = config.has_temporal_transformer and config.temporal_position_embedding != "none"
    if has_positions and arguments.num_frames > config.max_frames:
        raise ValueError(
            f"num_frames is {arguments.num_frames}, but the model has positions for {config.max_frames} frames "
            "(max_frames in config_overrides)."
        )
    if arguments.fit_level_weights:
        check_level_weights(config)
    if arguments.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    freeze(model, arguments.freeze)
    model.train()
    return pair


def check_level_weights(config: VideoColBERTConfig) -> None:
    """Checks that the weights of a model's levels can be fitted after its training steps.

    Raises:
        ValueError: If the score is no sum of the frame and the video level, or is itself what the loss is of.
    """
    if (
        set(config.score_levels) != {"frame", "video"}
        or config.level_scoring != "sum"
        or config.loss_type == "sigmoid"
    ):
        raise ValueError(
            "fit_level_weights needs score_levels ['frame', 'video'], level_scoring 'sum' and a loss of each level, "
            f"not {config.score_levels}, {config.level_scoring!r} and loss_type {config.loss_type!r}."
        )


def _checkpoint(files: ModelFiles, arguments: TrainingArguments) -> PretrainedPair:
    """Loads a Video-ColBERT checkpoint to go on from."""
    pair = load_model_files(files)
    if pair.is_zero_shot:
        raise ModelLoadError(
            f"model is {files.name!r}, a plain CLIP, SigLIP or VideoPrism checkpoint; give it as backbone."
        )
    if pair.differences:
        raise ModelLoadError(f"model {files.name!r} cannot be used: there are {'; '.join(pair.differences)}")
    pair.processor.video_processor.num_frames = arguments.num_frames
    return pair


def _over_backbone(files: ModelFiles, arguments: TrainingArguments) -> PretrainedPair:
    """Builds a model that begins with a backbone's towers."""
    check_model_files(files)
    # A folder's name means nothing elsewhere; the Hub's does.
    overrides: dict[str, Any] = {"backbone": None if files.is_local else files.name} | arguments.config_overrides
    with _without_advice_to_train():
        model = VideoColBERTModel.from_backbone(files.folder, dtype=torch.float32, **overrides)
    query = {"query_length": model.config.query_length, "query_windows": model.config.query_windows}
    if model.config.query_pad_token_id is not None:
        query["query_pad_token_id"] = model.config.query_pad_token_id
    processor = VideoColBERTProcessor.from_backbone(
        files.folder, **({"num_frames": arguments.num_frames} | query | arguments.processor_overrides)
    )
    model.config.query_pad_token_id = processor.query_pad_token_id
    return PretrainedPair(model, processor, ModelReference(files.name, files.revision))


@contextmanager
def _without_advice_to_train() -> Iterator[None]:
    """Keeps back the warning that untrained parts need training, which is what is about to happen."""
    model_logger = logging.getLogger(VideoColBERTModel.from_backbone.__module__)
    level = model_logger.level
    model_logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        model_logger.setLevel(level)


__all__ = ["build_model_and_processor"]
