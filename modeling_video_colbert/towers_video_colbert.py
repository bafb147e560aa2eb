"""The supported text and image towers."""

from dataclasses import dataclass

from torch import nn
from transformers import (
    CLIPModel,
    CLIPTextModel,
    CLIPVisionModel,
    MetaClip2Model,
    MetaClip2TextModel,
    MetaClip2VisionModel,
    PreTrainedModel,
    SiglipModel,
    SiglipTextModel,
    SiglipVisionModel,
)

from .configuration_video_colbert import VideoColBERTConfig, family_type


@dataclass(frozen=True)
class TowerFamily:
    """One kind of backbone.

    Attributes:
        title: Its name, as its publishers write it.
        backbone_class: The class that loads a whole backbone checkpoint.
        text_class: Its text tower.
        vision_class: Its image tower.
        text_head_source: Name, in a backbone, of the layer that maps its pooled text vector to the joint space.
        text_head_bias: Whether that layer has a bias.
        frame_head_source: Name of the layer that maps its pooled image vector there; `None` where that vector is in
            the joint space as it leaves the tower.
        has_causal_text: Whether a text token attends to itself and earlier ones only.
    """

    title: str
    backbone_class: type[PreTrainedModel]
    text_class: type[PreTrainedModel]
    vision_class: type[PreTrainedModel]
    text_head_source: str
    text_head_bias: bool
    frame_head_source: str | None
    has_causal_text: bool


# By the model type of the whole backbone. SigLIP 2 checkpoints of fixed resolution are of model type `siglip` too.
TOWER_FAMILIES = {
    "clip": TowerFamily(
        "CLIP",
        CLIPModel,
        CLIPTextModel,
        CLIPVisionModel,
        text_head_source="text_projection",
        text_head_bias=False,
        frame_head_source="visual_projection",
        has_causal_text=True,
    ),
    "metaclip_2": TowerFamily(
        "MetaCLIP 2",
        MetaClip2Model,
        MetaClip2TextModel,
        MetaClip2VisionModel,
        text_head_source="text_projection",
        text_head_bias=False,
        frame_head_source="visual_projection",
        has_causal_text=True,
    ),
    "siglip": TowerFamily(
        "SigLIP",
        SiglipModel,
        SiglipTextModel,
        SiglipVisionModel,
        text_head_source="text_model.head",
        text_head_bias=True,
        frame_head_source=None,
        has_causal_text=False,
    ),
}


def tower_family(model_type: str) -> TowerFamily:
    """Looks up the family of a backbone (`clip`) or of one of its towers (`clip_text_model`).

    Raises:
        ValueError: If the model type is not supported.
    """
    if model_type.startswith("siglip2"):
        raise ValueError(
            "This is a SigLIP 2 NaFlex checkpoint (model_type 'siglip2'), whose image tower takes patches of "
            "varying resolution. Supported are CLIP, MetaCLIP 2, SigLIP and the fixed-resolution SigLIP 2 "
            "checkpoints, such as google/siglip2-base-patch16-224."
        )
    family = TOWER_FAMILIES.get(family_type(model_type))
    if family is None:
        raise ValueError(
            f"Backbones of model_type {model_type!r} are not supported; supported are CLIP, MetaCLIP 2, SigLIP and "
            "fixed-resolution SigLIP 2."
        )
    return family


def build_text_tower(config: VideoColBERTConfig) -> tuple[PreTrainedModel, nn.Module]:
    """Builds the text tower, without its own head, and the head that maps its tokens to `projection_dim`."""
    family = tower_family(config.text_config.model_type)
    tower = family.text_class(config.text_config)
    if hasattr(tower, "head"):
        # SigLIP's tower applies its head to one position; ours applies to every token.
        tower.head = nn.Identity()
    is_biased = family.text_head_bias and config.query_head == "pretrained"
    return tower, nn.Linear(config.text_config.hidden_size, config.projection_dim, bias=is_biased)


def build_image_tower(config: VideoColBERTConfig) -> tuple[PreTrainedModel, nn.Module]:
    """Builds the image tower and the head that maps its pooled vector to `projection_dim`."""
    family = tower_family(config.vision_config.model_type)
    tower = family.vision_class(config.vision_config)
    if family.frame_head_source is None and config.frame_head == "pretrained":
        return tower, nn.Identity()
    return tower, nn.Linear(config.vision_config.hidden_size, config.projection_dim, bias=False)


__all__ = ["TowerFamily", "build_image_tower", "build_text_tower", "tower_family"]
