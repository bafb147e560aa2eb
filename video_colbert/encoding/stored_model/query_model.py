"""The part of a model that queries take: its text tower and head, loaded without the rest of its weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedModel

from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.modeling_video_colbert.backbone_video_colbert import backbone_config_fields
from video_colbert.modeling_video_colbert.token_weights_video_colbert import TokenWeights
from video_colbert.modeling_video_colbert.towers_video_colbert import (
    backbone_config,
    build_text_tower,
    tower_family,
)


class QueryModel(VideoColBERTModel):
    """A `VideoColBERTModel` that encodes queries and no videos.

    Its `get_text_features` is that of the whole model, of whose checkpoint it leaves the weights unread that no query
    meets.

    Args:
        config: the whole model's configuration.
    """

    _keys_to_ignore_on_load_unexpected = (
        r"^(vision_model|video_model|video_encoder|visual_projection|frame_head|video_head|temporal_transformer)\.",
        r"^(audio|text_audio|text_video_logit|video_plus)_",
        r"^token_weights\.(?!query\.)",
        r"^logit_(scale|bias)$",
    )

    def __init__(self, config: VideoColBERTConfig) -> None:
        # Not that of the whole model, which builds all of it.
        PreTrainedModel.__init__(self, config)
        self.text_model, self.query_head = build_text_tower(config)
        self.token_weights = nn.ModuleDict()
        if config.interaction == "weighted_token_wise":
            self.token_weights["query"] = TokenWeights(config.projection_dim)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # What the whole model starts apart from this is not here.
        PreTrainedModel._init_weights(self, module)


def load_query_model(folder: Path, **options: Any) -> tuple[QueryModel, dict[str, Any]]:
    """Loads the part of a Video-ColBERT checkpoint that queries take.

    Args:
        folder: the checkpoint.
        **options: as of transformers' `from_pretrained`.

    Returns:
        The model, and what transformers says of the weights.
    """
    model, report = QueryModel.from_pretrained(
        folder, output_loading_info=True, ignore_mismatched_sizes=True, trust_remote_code=False, **options
    )
    return model, report


def load_backbone_query_model(folder: Path, backbone: str | None, **options: Any) -> QueryModel:
    """Loads the part of a backbone's checkpoint that zero-shot queries take.

    Args:
        folder: the checkpoint.
        backbone: its name on the Hub; None for a folder of the user's.
        **options: as of transformers' `from_pretrained`.

    Raises:
        ValueError: the checkpoint lacks weights, or has weights of other sizes than its config says.
    """
    own = backbone_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    fields = backbone_config_fields(own, zero_shot=True, temporal_init="random")
    family = tower_family(own.model_type)
    names = dict(family.tower_layers)
    if family.text_head_source is not None:
        names[family.text_head_source] = "query_head"
    model, report = load_query_model(
        folder,
        config=VideoColBERTConfig(**fields, backbone=backbone),
        # PE-AV's with audio has the part of texts and videos in a part of its own.
        key_mapping={rf"^(?:video_model[.])?{re.escape(source)}[.]": f"{name}." for source, name in names.items()},
        **options,
    )
    for kind in ("missing_keys", "mismatched_keys"):
        if report[kind]:
            raise ValueError(f"checkpoint {folder} does not fit its config: {kind} {sorted(map(str, report[kind]))}")
    return model
