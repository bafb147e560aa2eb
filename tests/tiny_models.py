"""Tiny random backbones and models, shared by the tests."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    MetaClip2Config,
    MetaClip2Model,
    PeAudioVideoConfig,
    PeAudioVideoModel,
    PeVideoConfig,
    PeVideoModel,
    PreTrainedModel,
    Siglip2Config,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
    VideoPrismClipModel,
    VideoPrismConfig,
)
from transformers.utils import is_timm_available

from video_colbert.modeling_video_colbert import VideoColBERTModel

FAMILIES = ("clip", "metaclip_2", "siglip", "siglip2", "videoprism", *(["pe_video"] if is_timm_available() else []))
"""All, where timm is installed; the tests of Perception Encoder run in an environment of their own."""
NEEDS_TIMM = pytest.mark.skipif(not is_timm_available(), reason="needs timm: make test-timm")
IMAGE_FAMILIES = ("clip", "metaclip_2", "siglip")
"""Those whose image tower takes images of one size, one by one."""
VOCAB_SIZE = 600
QUERY_LENGTH = 16
IMAGE_SIZE = 32
_SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
# So that vectors point in clearly different directions, which 0.02 does not give in a tiny tower.
_INITIALIZER_RANGE = 0.3


def tiny_backbone(
    family: str,
    vocab_size: int = VOCAB_SIZE,
    eos_token_id: int = 1,
    image_size: int = IMAGE_SIZE,
    clip_projection_dim: int = 24,
) -> PreTrainedModel:
    """Builds a random backbone of a family, such as a `CLIPModel`, with seeded weights, in evaluation mode."""
    torch.manual_seed(0)
    image = {**_SIZES, "image_size": image_size, "patch_size": 16}
    text = {**_SIZES, "vocab_size": vocab_size, "bos_token_id": 0, "eos_token_id": eos_token_id}
    model: PreTrainedModel
    if family in ("clip", "metaclip_2"):
        text |= {"max_position_embeddings": 77, "pad_token_id": eos_token_id}
        towers = {"text_config": text, "vision_config": image, "projection_dim": clip_projection_dim}
        is_clip = family == "clip"
        model = CLIPModel(CLIPConfig(**towers)) if is_clip else MetaClip2Model(MetaClip2Config(**towers))
    elif family == "videoprism":
        text |= {"max_position_embeddings": 64, "pad_token_id": 2}
        depth = {"num_spatial_layers": 2, "num_temporal_layers": 1, "num_auxiliary_layers": 1}
        image |= {**depth, "tubelet_size": [1, 16, 16], "num_frames": 4}
        del image["num_hidden_layers"], image["patch_size"]
        model = VideoPrismClipModel(VideoPrismConfig(text_config=text, vision_config=image))
    elif family == "pe_video":
        model = PeVideoModel(tiny_pe_config(vocab_size, eos_token_id, image_size))
    elif family == "pe_audio_video":
        model = PeAudioVideoModel(tiny_audio_config(tiny_pe_config(vocab_size, eos_token_id, image_size)))
    elif family == "siglip2":
        text |= {"max_position_embeddings": 64, "pad_token_id": 2}
        del image["image_size"]
        image["num_patches"] = (image_size // 16) ** 2
        model = Siglip2Model(Siglip2Config(text_config=text, vision_config=image))
    else:
        text |= {"max_position_embeddings": 64, "pad_token_id": 2}
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=image))
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "logit" not in name:
            torch.nn.init.normal_(parameter, std=_INITIALIZER_RANGE)
    return model.eval()


def tiny_pe_config(vocab_size: int, eos_token_id: int, image_size: int) -> PeVideoConfig:
    """Makes the configuration of a tiny PE-AV for texts and videos."""
    special = {"pad_token_id": 1, "bos_token_id": 0, "cls_token_id": 0}
    special |= {"eos_token_id": eos_token_id, "sep_token_id": eos_token_id}
    timm = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": image_size}
    # A number of outputs by both names: the one that is stored, and the one that is read.
    image = {"architecture": "vit_pe_core_base_patch16_224", "num_classes": 20, "num_labels": 20, "model_args": timm}
    return PeVideoConfig(
        text_config={**_SIZES, **special, "vocab_size": vocab_size},
        video_config={**_SIZES, "hidden_size": 40, "num_hidden_layers": 2, "head_dim": 10, "vision_config": image},
    )


def tiny_audio_config(texts_and_videos: PeVideoConfig) -> PeAudioVideoConfig:
    """Makes the configuration of a tiny PE-AV with audio, which published ones are of."""
    sizes = {**_SIZES, "num_hidden_layers": 1, "head_dim": 8}
    codec = {"encoder_hidden_size": 4, "downsampling_ratios": [2, 4], "decoder_hidden_size": 16, "codebook_dim": 4}
    audio = {"model_type": "pe_audio_encoder", **sizes, "dac_config": {**codec, "codebook_size": 16}}
    both = {**sizes, "audio_config": audio, "video_config": texts_and_videos.video_config}
    return PeAudioVideoConfig(text_config=texts_and_videos.text_config, audio_video_config=both)


def tiny_model(family: str = "clip", **config: Any) -> VideoColBERTModel:
    """Builds a random Video-ColBERT model over a tiny backbone, in evaluation mode.

    The temporal transformer's frame output, zero at the start, is made random, so that the video level differs.
    """
    fields = {"query_length": QUERY_LENGTH, "max_frames": 16, "temporal_num_layers": 2, "temporal_num_heads": 4}
    with tempfile.TemporaryDirectory() as folder:
        tiny_backbone(family).save_pretrained(folder)
        model = VideoColBERTModel.from_backbone(folder, **(fields | config))
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.startswith("temporal_transformer.") and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=_INITIALIZER_RANGE)
    return model


def random_batch(num_queries: int = 5, num_videos: int = 5, num_frames: int = 6, seed: int = 0) -> dict[str, Any]:
    """Makes model inputs: captions of several lengths, padded, and videos of several lengths, padded."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(3, VOCAB_SIZE, (num_queries, QUERY_LENGTH), generator=generator)
    attention_mask = torch.zeros_like(input_ids)
    for row in range(num_queries):
        length = 4 + row % (QUERY_LENGTH - 4)
        input_ids[row, 0], input_ids[row, length - 1 :] = 0, 1
        attention_mask[row, :length] = 1
    pixels = torch.randn(num_videos, num_frames, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    video_mask = torch.arange(num_frames) < 1 + torch.arange(num_videos)[:, None] % num_frames
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "pixel_values_videos": pixels * video_mask[:, :, None, None, None],
        "video_mask": video_mask,
    }


def save_backbone(folder: Path, family: str = "clip") -> Path:
    """Saves a tiny backbone's model, without a tokenizer."""
    tiny_backbone(family).save_pretrained(folder)
    return folder
