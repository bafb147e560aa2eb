"""Tiny random backbones and models, shared by the tests."""

import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedModel,
    SiglipConfig,
    SiglipModel,
    SiglipTextConfig,
    SiglipVisionConfig,
)

from modeling_video_colbert import VideoColBERTModel

WIDTH = 32
_SIZES = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
# So that vectors point in clearly different directions, which 0.02 does not give in a tiny tower.
_INITIALIZER_RANGE = 0.3


def tiny_backbone(family: str, vocab_size: int = 600, eos_token_id: int = 1, image_size: int = 32) -> PreTrainedModel:
    """Builds a random `CLIPModel` or `SiglipModel` with seeded weights, in evaluation mode."""
    torch.manual_seed(0)
    image = _SIZES | {"image_size": image_size, "patch_size": 16}
    if family == "clip":
        text = _SIZES | {
            "vocab_size": vocab_size,
            "max_position_embeddings": 77,
            "bos_token_id": 0,
            "eos_token_id": eos_token_id,
            "pad_token_id": eos_token_id,
        }
        config = CLIPConfig(text_config=CLIPTextConfig(**text), vision_config=CLIPVisionConfig(**image), projection_dim=24)
        model: PreTrainedModel = CLIPModel(config)
    else:
        text = _SIZES | {
            "vocab_size": vocab_size,
            "max_position_embeddings": 64,
            "bos_token_id": 0,
            "eos_token_id": eos_token_id,
            "pad_token_id": 2,
        }
        config = SiglipConfig(text_config=SiglipTextConfig(**text), vision_config=SiglipVisionConfig(**image))
        model = SiglipModel(config)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "logit" not in name:
            torch.nn.init.normal_(parameter, std=_INITIALIZER_RANGE)
    return model.eval()


def tiny_model(family: str = "clip", folder: str | None = None, **config: object) -> VideoColBERTModel:
    """Builds a random Video-ColBERT model over a tiny backbone, written to `folder` on the way."""
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        tiny_backbone(family).save_pretrained(folder or temporary)
        fields = {"query_length": 16, "max_frames": 16, "temporal_num_layers": 2, "temporal_num_heads": 4}
        return VideoColBERTModel.from_backbone(folder or temporary, **(fields | config))
