"""Checkpoints of the size of published ones with random weights, on which neither time nor memory depends."""

from pathlib import Path
from typing import Any

import torch

from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor, VideoColBERTVideoProcessor
from video_colbert.training.tiny_backbones import train_clip_tokenizer

# Fields in which the published checkpoints differ from the defaults of their classes in transformers.
TOWERS: dict[str, dict[str, Any]] = {
    "clip_b32": {
        "text_config": {"model_type": "clip_text_model"},
        "vision_config": {"model_type": "clip_vision_model", "patch_size": 32},
        "projection_dim": 512,
    },
    "clip_b16": {
        "text_config": {"model_type": "clip_text_model"},
        "vision_config": {"model_type": "clip_vision_model", "patch_size": 16},
        "projection_dim": 512,
    },
    "siglip_b16": {
        "text_config": {"model_type": "siglip_text_model"},
        "vision_config": {"model_type": "siglip_vision_model", "patch_size": 16},
        "projection_dim": 768,
    },
}
_CAPTIONS = ("a red circle moves left", "a green square grows, then it stops", "blue triangle moves right up down")


def save_sized_checkpoint(folder: Path, backbone: str = "clip_b32", *, num_frames: int = 12, seed: int = 0) -> Path:
    """Saves a Video-ColBERT checkpoint of a published size: random weights, and a tokenizer of a few words.

    Args:
        folder: where to.
        backbone: one of `TOWERS`.
        num_frames: frames that its processor samples.
        seed: of the weights.

    Returns:
        The folder.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VideoColBERTModel(VideoColBERTConfig(**TOWERS[backbone]))
    model.save_pretrained(folder)
    side = model.config.vision_config.image_size
    frames = VideoColBERTVideoProcessor(num_frames=num_frames, size=side, crop_size=side)
    VideoColBERTProcessor(frames, train_clip_tokenizer(_CAPTIONS)).save_pretrained(folder)
    return folder
