"""The model and the processor that a run starts from."""

import torch

from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.optimization import freeze


def build_model_and_processor(arguments: TrainingArguments) -> tuple[VideoColBERTModel, VideoColBERTProcessor]:
    """Builds both from a backbone, or loads both from a Video-ColBERT checkpoint.

    Weights are float32: mixed precision lowers activations, not weights.

    Args:
        arguments: Of the run.

    Returns:
        The model, in training mode with frozen towers frozen, and the processor.

    Raises:
        ValueError: If `num_frames` is more than the model has positions for.
        OSError: If there is no such model.
    """
    revision = arguments.revision or "main"
    if arguments.model is not None:
        model = VideoColBERTModel.from_pretrained(arguments.model, revision=revision, dtype=torch.float32)
        processor = VideoColBERTProcessor.from_pretrained(
            arguments.model, revision=revision, num_frames=arguments.num_frames
        )
    else:
        backbone = str(arguments.backbone)
        model = VideoColBERTModel.from_backbone(
            backbone, revision=revision, dtype=torch.float32, **arguments.config_overrides
        )
        query = {"query_length": model.config.query_length, "query_windows": model.config.query_windows}
        if model.config.query_pad_token_id is not None:
            query["query_pad_token_id"] = model.config.query_pad_token_id
        processor = VideoColBERTProcessor.from_backbone(
            backbone,
            revision=revision,
            **({"num_frames": arguments.num_frames} | query | arguments.processor_overrides),
        )
        model.config.query_pad_token_id = processor.query_pad_token_id
    config = model.config
    has_positions = "video" in config.score_levels and config.temporal_position_embedding != "none"
    if has_positions and arguments.num_frames > config.max_frames:
        raise ValueError(
            f"num_frames is {arguments.num_frames}, but the model has positions for {config.max_frames} frames "
            "(max_frames in config_overrides)."
        )
    if arguments.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    freeze(model, arguments.freeze)
    model.train()
    return model, processor


__all__ = ["build_model_and_processor"]
