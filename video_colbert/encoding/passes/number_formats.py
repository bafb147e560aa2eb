"""Number formats that videos are encoded in, and how a model gets into one."""

from __future__ import annotations

import copy
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from video_colbert.encoding.passes.row_scaled_int8 import can_compute_int8, with_int8_layers
from video_colbert.errors import ModelLoadError
from video_colbert.modeling_video_colbert import VideoColBERTModel

NumberFormat: TypeAlias = Literal["float32", "bfloat16", "float16", "int8"]
"""What videos are encoded with: a type of float, or 8-bit integers in the layers of the image tower."""

Backend: TypeAlias = Literal["torch", "openvino"]
"""What computes the image tower."""

DType: TypeAlias = Literal["auto", "float32", "bfloat16", "float16", "int8"]
"""A number format, or `auto` for the fastest that gives the same vectors on this machine."""


class BFloat16Tower(nn.Module):
    """An image tower of bfloat16 between layers of float32.

    Args:
        tower: float32; a copy of it is put into bfloat16.
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = copy.deepcopy(tower).to(torch.bfloat16)

    def forward(self, pixel_values: Tensor, **recorded: Any) -> BaseModelOutputWithPooling:
        """The tower's output for `[..., C, H, W]` pixels, its pooled vectors in float32."""
        output = self.tower(pixel_values=pixel_values.to(torch.bfloat16), **recorded)
        for name in ("pooler_output", "video_pooler_output"):
            if (pooled := output.get(name)) is not None:
                setattr(output, name, pooled.float())
        return output


def into_format(model: VideoColBERTModel, number_format: NumberFormat) -> VideoColBERTModel:
    """Puts a model of float32 into a number format; it is changed in place.

    Args:
        model: in evaluation mode, on its device.
        number_format: a float type is that of the whole model; integers are in the image tower alone.

    Returns:
        The model.

    Raises:
        ModelLoadError: the format cannot be computed there.
    """
    if number_format != "int8":
        model.to(getattr(torch, number_format))
        return model
    if "int8" not in formats_of(model.device):
        raise ModelLoadError(
            f"int8 is computed on x86 processors only, not on {model.device.type!r} here; use float32 or bfloat16"
        )
    with_int8_layers(model.vision_model)
    return model


def with_image_tower_in(model: VideoColBERTModel, number_format: NumberFormat) -> VideoColBERTModel:
    """A model with its image tower in a number format and all else in float32.

    Args:
        model: float32, in evaluation mode, on the CPU; it is left as it is.
        number_format: one of `formats_of` its device.

    Returns:
        The model, which shares with the given one what is the same.
    """
    if number_format == "float32":
        return model
    if number_format == "bfloat16":
        return with_image_tower(model, BFloat16Tower(model.vision_model))
    tower = copy.deepcopy(model.vision_model, _kept(model))
    with_int8_layers(tower)
    return with_image_tower(model, tower)


def with_image_tower(model: VideoColBERTModel, tower: nn.Module) -> VideoColBERTModel:
    """A model with another image tower, which shares all other weights with it.

    Args:
        model: any; it is left as it is.
        tower: gives `pooler_output` for pixels.
    """
    return copy.deepcopy(model, {**_kept(model), id(model.vision_model): tower})


def _kept(model: VideoColBERTModel) -> dict[int, Any]:
    """Weights that a copy is to share, as `copy.deepcopy` takes them."""
    return {id(weight): weight for weight in (*model.parameters(), *model.buffers())}


def formats_of(device: torch.device) -> tuple[NumberFormat, ...]:
    """The formats that `auto` chooses among.

    An accelerator takes several videos at once, and what is not float32 there moves a video's vectors by more than
    1e-5 with what else is in the batch; so there it is float32.

    Args:
        device: where the model is.
    """
    if device.type != "cpu":
        return ("float32",)
    return ("float32", "bfloat16", "int8") if can_compute_int8() else ("float32", "bfloat16")
