"""An image tower computed by OpenVINO, between layers of torch; the extra `openvino`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from video_colbert.encoding.passes.choose_format import LEAST_COSINE, LEAST_GAIN, FormatChoice, compare_vectors
from video_colbert.encoding.passes.converted_towers import converted_tower
from video_colbert.encoding.passes.kept_choices import keep_choice, read_choice
from video_colbert.encoding.passes.number_formats import DType, NumberFormat, with_image_tower
from video_colbert.errors import MissingExtraError, ModelLoadError
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.modeling_video_colbert.towers_video_colbert import frame_side, tower_family

_PRECISIONS: dict[NumberFormat, str] = {"float32": "f32", "bfloat16": "bf16"}


class OpenVINOTower(nn.Module):
    """An image tower that OpenVINO computes, one call at a time.

    Args:
        file: what `converted_tower` made.
        number_format: `float32` or `bfloat16`.
    """

    def __init__(self, file: Path, number_format: NumberFormat) -> None:
        import openvino

        super().__init__()
        compiled = openvino.Core().compile_model(
            file,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _PRECISIONS[number_format],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                # Groups of activations with a scale of their own, on some processors only.
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
            },
        )
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> OpenVINOTower:
        """The same one: it holds nothing that a copy of a model may change."""
        return self

    def forward(
        self,
        pixel_values: Tensor,
        return_dict: bool = True,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """The pooled vectors of `[N, C, H, W]` float32 pixels.

        Raises:
            ValueError: more is asked for, or not as an output object.
        """
        if not return_dict or output_hidden_states or output_attentions:
            raise ValueError("OpenVINO gives pooled vectors alone; load the model with the backend torch")
        with self._lock:
            found = self._request.infer({0: pixel_values.contiguous().numpy()}, share_inputs=True)[0]
            return BaseModelOutputWithPooling(pooler_output=torch.from_numpy(found.copy()))


def with_openvino_tower(
    model: VideoColBERTModel, revision: str, dtype: DType
) -> tuple[FormatChoice, VideoColBERTModel]:
    """Puts OpenVINO in the place of a model's image tower.

    Args:
        model: float32, in evaluation mode, on the CPU.
        revision: the Hub's commit, or the digest of a local folder's content.
        dtype: `float32`, `bfloat16`, or `auto` for the faster of them here, if its vectors are those of float32.

    Returns:
        The choice, and the model, whose other weights are the given one's.

    Raises:
        ModelLoadError: the model is elsewhere, OpenVINO does not compute this format, or it cannot convert the tower.
        MissingExtraError: the `openvino` extra is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError(
            "the backend openvino needs the extra `openvino`: pip install 'video-colbert[openvino]'"
        ) from error
    if model.device.type != "cpu":
        raise ModelLoadError(
            f"the backend openvino computes on the CPU, not on {model.device.type!r}; use torch there"
        )
    if dtype not in ("auto", *_PRECISIONS):
        raise ModelLoadError(f"the backend openvino computes auto, {' or '.join(_PRECISIONS)}, got dtype {dtype!r}")
    config = model.config.vision_config
    family = tower_family(config.model_type)
    if family.sees_videos or not hasattr(config, "image_size"):
        raise ModelLoadError(
            f"the backend openvino computes towers of images of one size, not that of {family.title}; use torch"
        )
    file = converted_tower(model.vision_model, frame_side(config), revision)

    def in_format(name: NumberFormat) -> VideoColBERTModel:
        return with_image_tower(model, OpenVINOTower(file, name))

    if dtype == "float32" or dtype == "bfloat16":
        return FormatChoice(dtype, backend="openvino"), in_format(dtype)
    choice = read_choice(revision, "openvino")
    if choice is not None:
        return choice, in_format(choice.number_format)
    exact = in_format("float32")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return FormatChoice("float32", backend="openvino"), exact
    candidate = in_format("bfloat16")
    speed, cosine = compare_vectors(exact, candidate)
    is_better = speed >= LEAST_GAIN and cosine >= LEAST_COSINE
    choice = FormatChoice(
        "bfloat16" if is_better else "float32",
        {"bfloat16": speed},
        {"bfloat16": cosine},
        is_new=True,
        backend="openvino",
    )
    keep_choice(choice, revision)
    return choice, candidate if is_better else exact
