"""The supported text and image towers: which there are, how they are built and how inputs pass them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    CLIPModel,
    CLIPTextModel,
    CLIPVisionModel,
    MetaClip2Model,
    MetaClip2TextModel,
    MetaClip2VisionModel,
    PreTrainedConfig,
    PreTrainedModel,
    Siglip2Model,
    Siglip2TextModel,
    SiglipModel,
    SiglipTextModel,
    SiglipVisionModel,
    VideoPrismClipModel,
)

from .configuration_checks import family_type
from .configuration_video_colbert import VideoColBERTConfig
from .naflex_tower_video_colbert import NaFlexImageTower
from .outputs_video_colbert import VideoTowerOutput
from .pe_tower_video_colbert import PeTextTower, PeTextVideoModel, PeVideoTower, pe_image_sizes
from .videoprism_tower_video_colbert import VideoPrismTextTower, VideoPrismVideoTower


@dataclass(frozen=True)
class TowerFamily:
    """One kind of backbone.

    Attributes:
        title: Its name, as its publishers write it.
        backbone_class: The class that loads a whole backbone checkpoint.
        text_class: Its text tower.
        vision_class: Its image tower, or its tower of videos.
        text_head_source: Name, in a backbone, of the layer that maps its pooled text vector to the joint space; `None`
            where that vector is in the joint space as it leaves the tower.
        text_head_bias: Whether that layer has a bias.
        frame_head_source: The same of its pooled image vector.
        has_causal_text: Whether a text token attends to itself and earlier ones only.
        joint_width: Where the width of the joint space stands in a backbone's configuration.
        vision_source: Name, in a backbone, of the image tower.
        vision_config_source: Name, in a backbone's configuration, of the image tower's.
        reads_text_mask: Whether the text tower takes the mask of real tokens, and attends to no others.
        sees_videos: Whether the image tower takes whole videos, and gives a vector of each beside those of its frames.
        tower_layers: Layers that stand outside of a backbone's towers and within ours: our names by its own.
        zero_shot_length: The most tokens of a zero-shot query, where a tower has positions for many more and reads the
            mask, so that padding changes nothing; `None` means all positions.
    """

    title: str
    backbone_class: type[PreTrainedModel]
    text_class: type[PreTrainedModel]
    vision_class: type[PreTrainedModel]
    text_head_source: str | None
    text_head_bias: bool
    frame_head_source: str | None
    has_causal_text: bool
    joint_width: str = "projection_dim"
    vision_source: str = "vision_model"
    vision_config_source: str = "vision_config"
    reads_text_mask: bool = False
    sees_videos: bool = False
    tower_layers: Mapping[str, str] = field(default_factory=dict)
    zero_shot_length: int | None = None


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
        joint_width="text_config.projection_size",
    ),
    "siglip2": TowerFamily(
        "SigLIP 2 NaFlex",
        Siglip2Model,
        Siglip2TextModel,
        NaFlexImageTower,
        text_head_source="text_model.head",
        text_head_bias=True,
        frame_head_source=None,
        has_causal_text=False,
        joint_width="text_config.projection_size",
    ),
    "videoprism": TowerFamily(
        "VideoPrism",
        VideoPrismClipModel,
        VideoPrismTextTower,
        VideoPrismVideoTower,
        text_head_source=None,
        text_head_bias=False,
        frame_head_source=None,
        has_causal_text=True,
        joint_width="text_config.hidden_size",
        vision_source="video_model",
        reads_text_mask=True,
        sees_videos=True,
    ),
    "pe_video": TowerFamily(
        "Perception Encoder (PE-AV)",
        PeTextVideoModel,
        PeTextTower,
        PeVideoTower,
        text_head_source="text_video_head.proj",
        text_head_bias=False,
        frame_head_source="video_head.proj",
        has_causal_text=False,
        joint_width="text_config.hidden_size",
        vision_source="video_encoder",
        vision_config_source="video_config",
        reads_text_mask=True,
        sees_videos=True,
        tower_layers={
            "text_video_head.layer_norm": "text_model.head_norm",
            "video_head.layer_norm": "vision_model.head_norm",
        },
        zero_shot_length=128,
    ),
}


def tower_family(model_type: str) -> TowerFamily:
    """Looks up the family of a backbone (`clip`) or of one of its towers (`clip_text_model`).

    Raises:
        ValueError: If the model type is not supported.
    """
    family = TOWER_FAMILIES.get(family_type(model_type))
    if family is None:
        raise _unsupported(model_type)
    return family


def _unsupported(model_type: str) -> ValueError:
    titles = ", ".join(each.title for each in TOWER_FAMILIES.values())
    return ValueError(
        f"Backbones of model_type {model_type!r} are not supported; supported are {titles} and the SigLIP 2 of fixed "
        "resolution."
    )


def backbone_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """Returns the configuration of a backbone, which is a part of a larger model's where that has audio too (PE-AV).

    Raises:
        ValueError: If the model type is not that of a supported backbone.
    """
    if config.model_type == "pe_audio_video":
        return config.video_config
    if config.model_type not in TOWER_FAMILIES:
        raise _unsupported(config.model_type)
    return config


def joint_width(config: PreTrainedConfig) -> int:
    """Returns the width of a backbone's joint space, by its configuration."""
    value: Any = config
    for name in tower_family(config.model_type).joint_width.split("."):
        value = getattr(value, name)
    return int(value)


def build_text_tower(config: VideoColBERTConfig) -> tuple[PreTrainedModel, nn.Module]:
    """Builds the text tower, without its own head, and the head that maps its tokens to `projection_dim`."""
    family = tower_family(config.text_config.model_type)
    tower = family.text_class(config.text_config)
    if hasattr(tower, "head"):
        # SigLIP's tower applies its head to one position; ours applies to every token.
        tower.head = nn.Identity()
    if family.text_head_source is None and config.query_head == "pretrained":
        return tower, nn.Identity()
    is_biased = family.text_head_bias and config.query_head == "pretrained"
    return tower, nn.Linear(config.text_config.hidden_size, config.projection_dim, bias=is_biased)


def build_image_tower(config: VideoColBERTConfig) -> tuple[PreTrainedModel, nn.Module]:
    """Builds the image tower and the head that maps its pooled vector to `projection_dim`."""
    family = tower_family(config.vision_config.model_type)
    tower = family.vision_class(config.vision_config)
    if family.frame_head_source is None and config.frame_head == "pretrained":
        return tower, nn.Identity()
    return tower, nn.Linear(config.vision_config.hidden_size, config.projection_dim, bias=False)


def text_inputs(config: VideoColBERTConfig, input_ids: Tensor, attention_mask: Tensor | None) -> dict[str, Tensor]:
    """Makes the inputs of a text tower.

    Most towers never see the mask: CLIP's is causal, SigLIP was trained without one.

    Args:
        config: Of the model.
        input_ids: `[B, L]`.
        attention_mask: `[B, L]`, 1 on real tokens.

    Returns:
        Inputs by name.

    Raises:
        ValueError: If the tower needs a mask and there is none.
    """
    family = tower_family(config.text_config.model_type)
    if not family.reads_text_mask:
        return {"input_ids": input_ids}
    if attention_mask is None:
        raise ValueError(f"attention_mask is needed for the text tower of {family.title}; pass the processor's.")
    return {"input_ids": input_ids, "attention_mask": attention_mask.long()}


def encode_frames(
    config: VideoColBERTConfig,
    tower: nn.Module,
    pixel_values_videos: Tensor,
    frame_mask: Tensor,
    frame_sizes: Tensor | None = None,
    **recorded: Any,
) -> Any:
    """Passes videos through the image tower.

    A tower that sees whole videos is given those of one length together, without their padding, and frames of several
    sizes are given by size, so that a vector does not depend on what else is in the batch.

    Args:
        config: Of the model.
        tower: The image tower.
        pixel_values_videos: `[B, T, C, H, W]`, padded on the right, below and behind.
        frame_mask: `[B, T]`, true on real frames, which come first.
        frame_sizes: `[B, 2]` height and width of each video's frames; `None` where all are `H` by `W`.
        **recorded: What to return beside the vectors: `output_hidden_states` and `output_attentions`.

    Returns:
        The tower's output, `pooler_output` being `[B, T, D]`, 0 for padding where it was left out; of a tower of
        videos with `video_pooler_output` `[B, 1, D]`.

    Raises:
        ValueError: If states are asked for of videos that pass the tower apart, or sizes are out of range.
    """
    batch, num_frames, _, height, width = pixel_values_videos.shape
    sees_videos = tower_family(config.vision_config.model_type).sees_videos
    if not sees_videos and frame_sizes is None:
        return _pass_tower(tower, pixel_values_videos, sees_videos, recorded)
    if frame_sizes is None:
        frame_sizes = torch.tensor([[height, width]]).expand(batch, 2)
    elif frame_sizes.shape != (batch, 2) or (frame_sizes > torch.tensor([height, width]).to(frame_sizes)).any():
        raise ValueError(
            f"frame_sizes must be [{batch}, 2], and no frame larger than {height} by {width} pixels, not "
            f"{frame_sizes.tolist()}."
        )
    lengths = frame_mask.sum(1) if sees_videos else torch.full((batch,), num_frames)
    kinds = torch.cat([lengths.cpu()[:, None], frame_sizes.cpu()], dim=1)
    distinct, kind_of = torch.unique(kinds, dim=0, return_inverse=True)
    outputs = []
    for number, (length, rows, columns) in enumerate(distinct.tolist()):
        of_kind = (kind_of == number).nonzero()[:, 0].to(pixel_values_videos.device)
        # A video without frames has no tokens; the tower is shown one, so that there is something to pad with.
        pixels = pixel_values_videos[of_kind, : max(length, 1), :, :rows, :columns]
        outputs.append((of_kind, _pass_tower(tower, pixels, sees_videos, recorded)))
    if len(outputs) == 1 and outputs[0][1].pooler_output.shape[1] == num_frames:
        return outputs[0][1]
    if any(recorded.values()):
        raise ValueError(
            f"The videos of the batch are of {len(distinct)} lengths or frame sizes, or padded, and "
            f"{', '.join(recorded)} are of one: pass videos of one length and size, without padding."
        )
    first = outputs[0][1]
    frames = first.pooler_output.new_zeros(batch, num_frames, first.pooler_output.shape[-1])
    videos = frames.new_zeros(batch, 1, frames.shape[-1]) if sees_videos else None
    for of_kind, output in outputs:
        frames[of_kind, : output.pooler_output.shape[1]] = output.pooler_output
        if videos is not None:
            videos[of_kind] = output.video_pooler_output
    return VideoTowerOutput(pooler_output=frames, video_pooler_output=videos)


def _pass_tower(tower: nn.Module, pixels: Tensor, sees_videos: bool, recorded: dict[str, Any]) -> Any:
    """The output of a tower for `[B, T, C, H, W]` frames of one size, its frame vectors as `[B, T, D]`."""
    output = tower(pixel_values=pixels if sees_videos else pixels.flatten(0, 1), return_dict=True, **recorded)
    if not sees_videos:
        output.pooler_output = output.pooler_output.unflatten(0, pixels.shape[:2])
    return output


def frame_side(config: PreTrainedConfig) -> int:
    """Returns height and width in pixels of the frames that an image tower was made for, by its configuration."""
    if config.model_type == "pe_video_encoder":
        return pe_image_sizes(config)[0]
    if hasattr(config, "image_size"):
        side = config.image_size
        return int(side if isinstance(side, int) else side[0])
    return int(config.num_patches**0.5) * int(config.patch_size)


def num_patches(config: PreTrainedConfig) -> int:
    """Returns the patches of such a frame."""
    if config.model_type == "pe_video_encoder":
        side, patch = pe_image_sizes(config)
        return (side // patch) ** 2
    patch = config.patch_size if hasattr(config, "patch_size") else config.tubelet_size[1]
    return (frame_side(config) // int(patch)) ** 2


__all__ = [
    "TowerFamily",
    "backbone_config",
    "build_image_tower",
    "build_text_tower",
    "encode_frames",
    "frame_side",
    "joint_width",
    "num_patches",
    "text_inputs",
    "tower_family",
]
