"""Folders that hold tiny random checkpoints, complete with their processors, as a user would load them."""

import json
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from tests.tiny_models import tiny_backbone
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

IMAGE_SIZE = 32


def save_tiny_backbone(folder: Path, tokenizer: PreTrainedTokenizerBase, family: str = "clip") -> Path:
    """Saves a checkpoint of a family of backbones: model, tokenizer and image settings."""
    backbone = tiny_backbone(
        family, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id or 1, image_size=IMAGE_SIZE
    )
    backbone.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if family == "siglip2":
        patches = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 16, "max_num_patches": 12}
        (folder / "preprocessor_config.json").write_text(json.dumps(patches))
        return folder
    if family == "videoprism":
        videos = {"video_processor_type": "LlavaOnevisionVideoProcessor", "size": {"height": 384, "width": 384}}
        (folder / "video_preprocessor_config.json").write_text(json.dumps(videos))
        return folder
    if family in ("pe_video", "pe_audio_video"):
        videos = {"video_processor_type": "PeVideoVideoProcessor", "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE}}
        videos |= {f"do_{step}": True for step in ("resize", "rescale", "normalize")} | {"do_center_crop": False}
        videos |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "rescale_factor": 1 / 255, "resample": 2}
        (folder / "video_preprocessor_config.json").write_text(json.dumps(videos))
        return folder
    square = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    settings = {
        "image_processor_type": "SiglipImageProcessor" if family == "siglip" else "CLIPImageProcessor",
        "size": {"shortest_edge": IMAGE_SIZE} if family == "clip" else square,
        "do_center_crop": family != "siglip",
        "crop_size": square,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def save_tiny_checkpoint(folder: Path, backbone: Path) -> Path:
    """Saves an untrained Video-ColBERT checkpoint over a backbone: model and processor."""
    model = VideoColBERTModel.from_backbone(
        backbone, query_length=16, max_frames=16, temporal_num_layers=2, temporal_num_heads=4
    )
    model.save_pretrained(folder)
    VideoColBERTProcessor.from_backbone(backbone, query_length=16, num_frames=6).save_pretrained(folder)
    return folder
