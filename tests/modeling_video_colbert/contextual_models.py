"""Tiny models with levels of texts, and batches of videos of which some texts are missing."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.tiny_models import VOCAB_SIZE, random_batch, tiny_model
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import PretrainedPair
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

PASSAGE_LEVELS = ("speech", "screen_text", "description")
SCORE_LEVELS = ["video", *PASSAGE_LEVELS]


def contextual_model(**fields: Any) -> VideoColBERTModel:
    """A model with all levels of texts, whose outputs of texts, zero at the start, are random."""
    return tiny_model(**{"score_levels": SCORE_LEVELS, "temporal_dropout": 0.0, **fields})


def random_passages(num_videos: int, windows: int = 2, length: int = 5, seed: int = 0) -> dict[str, Tensor]:
    """Inputs of texts: video 0 has none, and of each other one text is missing but of the last."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(3, VOCAB_SIZE, (num_videos, 3, windows, length), generator=generator)
    counts = torch.randint(1, length + 1, (num_videos, 3, windows, 1), generator=generator)
    mask = (torch.arange(length) < counts).long()
    # Fewer windows in some, none in others.
    mask[:, 1, 1:] = 0
    mask[0] = 0
    for video in range(1, num_videos - 1):
        mask[video, video % 3] = 0
    return {"passage_input_ids": input_ids, "passage_attention_mask": mask}


def contextual_batch(num_queries: int = 4, num_videos: int = 5, **sizes: int) -> dict[str, Any]:
    return random_batch(num_queries, num_videos) | random_passages(num_videos, **sizes)


def contextual_encoder(backbone: Path, **config: Any) -> VideoColBERTEncoder:
    """An encoder over a tiny backbone with a model of all levels of texts."""
    fields = {"query_length": 16, "max_frames": 16, "temporal_num_layers": 1, "temporal_num_heads": 4}
    model = VideoColBERTModel.from_backbone(backbone, **fields, **{"score_levels": SCORE_LEVELS, **config})
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.startswith("temporal_transformer.") and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    processor = VideoColBERTProcessor.from_backbone(backbone, query_length=16, num_frames=4)
    return VideoColBERTEncoder(PretrainedPair(model, processor, ModelReference("contextual", "1"), is_zero_shot=False))
