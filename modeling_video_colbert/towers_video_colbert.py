"""The supported text and image towers, and how their pretrained weights are found in a backbone."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import (
    CLIPModel,
    CLIPTextModel,
    CLIPVisionModel,
    PreTrainedConfig,
    PreTrainedModel,
    SiglipModel,
    SiglipTextModel,
    SiglipVisionModel,
)

from .configuration_video_colbert import VideoColBERTConfig


@dataclass(frozen=True)
class TowerFamily:
    """One kind of backbone.

    Attributes:
        backbone_class: The class that loads a whole backbone checkpoint.
        text_class: Its text tower.
        vision_class: Its image tower.
        text_head_source: Name, in a backbone, of the layer that maps its pooled text vector to the joint space.
        text_head_bias: Whether that layer has a bias.
        frame_head_source: Name of the layer that maps its pooled image vector there, if it has one.
    """

    backbone_class: type[PreTrainedModel]
    text_class: type[PreTrainedModel]
    vision_class: type[PreTrainedModel]
    text_head_source: str
    text_head_bias: bool
    frame_head_source: str | None


# SigLIP 2 checkpoints of fixed resolution are of model type `siglip` too.
TOWER_FAMILIES = {
    "clip": TowerFamily(CLIPModel, CLIPTextModel, CLIPVisionModel, "text_projection", False, "visual_projection"),
    "siglip": TowerFamily(SiglipModel, SiglipTextModel, SiglipVisionModel, "text_model.head", True, None),
}


def tower_family(model_type: str) -> TowerFamily:
    """Looks up the family of a backbone (`clip`) or of one of its towers (`clip_text_model`).

    Raises:
        ValueError: If the model type is not supported.
    """
    if model_type.startswith("siglip2"):
        raise ValueError(
            "This is a SigLIP 2 NaFlex checkpoint (model_type 'siglip2'), whose image tower takes patches of "
            "varying resolution. Supported are CLIP, SigLIP and the fixed-resolution SigLIP 2 checkpoints, "
            "such as google/siglip2-base-patch16-224."
        )
    family = TOWER_FAMILIES.get(model_type.split("_")[0])
    if family is None:
        raise ValueError(
            f"Backbones of model_type {model_type!r} are not supported; supported are CLIP, SigLIP and "
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


def backbone_projection_dim(config: PreTrainedConfig) -> int:
    """Returns the width of a backbone's joint space."""
    if config.model_type == "clip":
        return int(config.projection_dim)
    return int(config.text_config.projection_size)


def backbone_weight_names(backbone: PreTrainedModel, config: VideoColBERTConfig) -> dict[str, str]:
    """Maps the name of each backbone weight that a model of this configuration uses to the model's name for it."""
    family = tower_family(backbone.config.model_type)
    heads = {}
    if config.query_head == "pretrained":
        heads[family.text_head_source] = "query_head"
    if config.frame_head == "pretrained" and family.frame_head_source is not None:
        heads[family.frame_head_source] = "frame_head"
    renamed = {}
    for name in backbone.state_dict():
        module, _, parameter = name.rpartition(".")
        if module in heads:
            renamed[name] = f"{heads[module]}.{parameter}"
        elif name.startswith(("text_model.", "vision_model.")) and module != family.text_head_source:
            renamed[name] = name
    return renamed


@torch.no_grad()
def copy_backbone_weights(model: PreTrainedModel, backbone: PreTrainedModel) -> tuple[list[str], list[str]]:
    """Copies the towers and heads of a backbone into a model, by name.

    Args:
        model: A `VideoColBERTModel` of the backbone's sizes.
        backbone: A `CLIPModel` or `SiglipModel`.

    Returns:
        The backbone's weights that were left out, and the model's weights that keep their initial values.

    Raises:
        ValueError: If a tower weight is missing from the backbone or has another shape.
    """
    names = backbone_weight_names(backbone, model.config)
    source, target = backbone.state_dict(), model.state_dict()
    for backbone_name, name in names.items():
        if name not in target or target[name].shape != source[backbone_name].shape:
            shape = list(target[name].shape) if name in target else "absent"
            raise ValueError(
                f"Backbone weight {backbone_name} is {list(source[backbone_name].shape)}, but {name} is {shape}."
            )
        target[name].copy_(source[backbone_name])
    left_out = sorted(set(source) - set(names))
    initial = set(target) - set(names.values())
    if missing := sorted(name for name in initial if name.startswith(("text_model.", "vision_model."))):
        raise ValueError(f"The backbone has no weights for {missing}.")
    if model.config.temporal_init == "clip" and "video" in model.config.score_levels:
        initial -= _copy_temporal_layers(target, source, model.config)
    return left_out, sorted(initial)


def _copy_temporal_layers(
    target: dict[str, Tensor], source: dict[str, Tensor], config: VideoColBERTConfig
) -> set[str]:
    """Starts the temporal transformer from the text tower's first layers and positions, as CLIP4Clip does."""
    if config.temporal_num_heads != config.text_config.num_attention_heads:
        raise ValueError(
            f"temporal_init='clip' needs temporal_num_heads to be the text tower's "
            f"{config.text_config.num_attention_heads}, not {config.temporal_num_heads}."
        )
    copied = {}
    for name in target:
        if name.startswith("temporal_transformer.layers."):
            layer = name.replace("temporal_transformer.", "text_model.encoder.")
            copied[name] = layer.replace(".fc", ".mlp.fc")
    positions = "temporal_transformer.position_embedding.weight"
    if positions in target:
        copied[positions] = "text_model.embeddings.position_embedding.weight"
    for name, source_name in copied.items():
        if source_name not in source:
            raise ValueError(f"temporal_init='clip' copies {source_name}, which the text tower does not have.")
        # The text tower may have more positions than there are frames.
        weight = source[source_name][: config.max_frames] if name == positions else source[source_name]
        if weight.shape != target[name].shape:
            raise ValueError(
                f"temporal_init='clip' copies {source_name} {list(weight.shape)} to {name} "
                f"{list(target[name].shape)}; projection_dim, temporal_intermediate_size and max_frames must fit."
            )
        target[name].copy_(weight)
    return set(copied)


__all__ = [
    "backbone_projection_dim",
    "build_image_tower",
    "build_text_tower",
    "copy_backbone_weights",
    "tower_family",
]
