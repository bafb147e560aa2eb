"""Perception Encoder's towers (PE-AV, arXiv 2512.19687), called as other towers are; frames pass through timm."""

import re
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    ModernBertConfig,
    ModernBertModel,
    PeVideoConfig,
    PeVideoEncoder,
    PeVideoEncoderConfig,
    PeVideoModel,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.pe_video.modeling_pe_video import PeVideoContrastiveHead
from transformers.utils import is_timm_available

from .outputs_video_colbert import VideoTowerOutput

TIMM_NEEDED = "The image tower of Perception Encoder is timm's, which is not installed: pip install timm"

# Of the layer norm that PE's heads begin with; its configuration does not say it.
_HEAD_EPSILON = 1e-6
# timm's names say both: vit_pe_core_large_patch14_336.
_PATCH_AND_SIZE = re.compile(r"_patch(\d+)_(\d+)$")


def pe_image_sizes(config: PeVideoEncoderConfig) -> tuple[int, int]:
    """Returns the side in pixels of the frames that PE's tower takes, and that of a patch.

    Args:
        config: Of `PeVideoEncoder`.

    Raises:
        ValueError: If its timm architecture is not named as those of PE are.
    """
    timm = config.vision_config
    found = _PATCH_AND_SIZE.search(timm.architecture)
    if found is None:
        raise ValueError(
            f"vision_config.architecture is {timm.architecture!r}; it must end in patch and image size, such as "
            "'vit_pe_core_large_patch14_336'."
        )
    patch, side = map(int, found.groups())
    return int((timm.model_args or {}).get("img_size", side)), patch


def with_all_outputs(config: PeVideoEncoderConfig) -> PeVideoEncoderConfig:
    """Gives a configuration's image tower the outputs that its checkpoint has.

    transformers stores their number as `num_classes` and, in the releases that were tried, builds a nested
    configuration without reading it, with 2 outputs.

    Args:
        config: Of `PeVideoEncoder`; it is changed.

    Returns:
        The same.
    """
    number = getattr(config.vision_config, "num_classes", None)
    if number is not None:
        config.vision_config.num_labels = number
    return config


class PeTextVideoModel(PeVideoModel):
    """The weights of PE-AV for texts and videos, of a checkpoint of their own or of one that has audio too.

    Args:
        config: Of `PeVideoModel`.

    Raises:
        ImportError: If timm is not installed.
    """

    _keys_to_ignore_on_load_unexpected = (r"^(audio|text_audio|video_plus)_",)

    def __init__(self, config: PeVideoConfig) -> None:
        require_timm()
        # Not that of the class itself, which writes notes to its own authors to the standard output.
        PreTrainedModel.__init__(self, config)
        self.text_model = ModernBertModel(config.text_config)
        self.video_encoder = PeVideoEncoder(with_all_outputs(config.video_config))
        width = config.text_config.hidden_size
        self.text_video_head = PeVideoContrastiveHead(width, width)
        self.video_head = PeVideoContrastiveHead(config.video_config.hidden_size, width)
        self.text_video_logit_scale = nn.Parameter(torch.zeros(1))
        self.text_video_logit_bias = nn.Parameter(torch.zeros(1))
        self.post_init()


class PeVideoTower(PeVideoEncoder):
    """A tower in which frames attend to each other, so that a video has a vector of its own, that of a class token.

    Each frame's vector is the state of that frame, and the video's that of the class token, both as they enter the
    backbone's head, whose first layer, a norm, is a part of this tower.

    Args:
        config: Of `PeVideoEncoder`.

    Raises:
        ImportError: If timm is not installed.
    """

    def __init__(self, config: PeVideoEncoderConfig) -> None:
        require_timm()
        super().__init__(with_all_outputs(config))
        self.head_norm = nn.LayerNorm(config.hidden_size, eps=_HEAD_EPSILON)

    def forward(self, pixel_values: Tensor, **recorded: Any) -> VideoTowerOutput:
        """Encodes videos of one number of frames.

        Args:
            pixel_values: `[B, T, C, H, W]`.
            **recorded: What to return beside the vectors, as other towers take it.

        Returns:
            The vectors of frames and videos.
        """
        # The backbone views frames of all videos as one batch, which a part of a padded batch does not allow.
        output = super().forward(pixel_values.contiguous(), **recorded)
        return VideoTowerOutput(
            last_hidden_state=output.last_hidden_state,
            pooler_output=self.head_norm(output.last_hidden_state),
            hidden_states=output.hidden_states,
            attentions=output.attentions,
            video_pooler_output=self.head_norm(output.pooler_output)[:, None],
        )


class PeTextTower(ModernBertModel):
    """A text tower whose pooled vector is the state of its first token, as it enters the backbone's head.

    Args:
        config: Of `ModernBertModel`.
    """

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__(config)
        self.head_norm = nn.LayerNorm(config.hidden_size, eps=_HEAD_EPSILON)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **recorded: Any) -> BaseModelOutputWithPooling:
        """Encodes texts.

        Args:
            input_ids: `[B, L]`, padded on the right.
            attention_mask: `[B, L]`, 1 on real tokens: the only ones that are attended to.
            **recorded: What to return beside the states, as other towers take it.

        Returns:
            The states of the tokens, and that of the first as the pooled vector.
        """
        output = super().forward(input_ids=input_ids, attention_mask=attention_mask, **recorded)
        states = self.head_norm(output.last_hidden_state)
        return BaseModelOutputWithPooling(
            last_hidden_state=states,
            pooler_output=states[:, 0],
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


def require_timm() -> None:
    """Checks that timm is installed.

    Raises:
        ImportError: If it is not.
    """
    if not is_timm_available():
        raise ImportError(TIMM_NEEDED)


__all__ = [
    "PeTextTower",
    "PeTextVideoModel",
    "PeVideoTower",
    "pe_image_sizes",
    "require_timm",
    "with_all_outputs",
]
