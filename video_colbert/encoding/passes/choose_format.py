"""Choice of the fastest number format whose vectors are those of float32, by trying them on this machine.

What is fastest cannot be told from a processor's name: where bfloat16 has instructions of its own it is several times
as fast as float32, and where it has none several times slower.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from video_colbert.encoding.passes.number_formats import Backend, NumberFormat, formats_of, with_image_tower_in
from video_colbert.encoding.passes.row_scaled_int8 import RowScaledInt8Linear
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.modeling_video_colbert.towers_video_colbert import frame_side, num_patches

LEAST_COSINE = 0.999
"""What the vectors of a format have at least, to those of float32."""

LEAST_GAIN = 1.15
"""How many times as fast as float32 another format must be; below that, timing alone would choose."""

SMALL_TOWER = 20_000_000
"""Parameters of an image tower below which nothing is tried: decoding takes longer than such a tower."""

_FRAMES = 2
_TIMES = 2


@dataclass(frozen=True)
class FormatChoice:
    """Which number format was chosen, and why.

    Attributes:
        number_format: the choice.
        speeds: by format that was tried, how many times as fast as float32 it is here.
        cosines: by format that was tried on whole videos, the least cosine of a vector to that of float32.
        is_new: whether it was tried just now, rather than read from the cache.
        backend: what computes the image tower.
    """

    number_format: NumberFormat
    speeds: dict[str, float] = field(default_factory=dict)
    cosines: dict[str, float] = field(default_factory=dict)
    is_new: bool = False
    backend: Backend = "torch"

    def __str__(self) -> str:
        """The format, and the backend where it is not torch."""
        return self.number_format if self.backend == "torch" else f"{self.number_format} by {self.backend}"

    def in_words(self) -> str:
        """The choice in a sentence, with its figures."""
        if self.number_format == "float32":
            return f"{self}; no other format is faster here and gives the same vectors"
        return (
            f"{self}, {self.speeds[self.number_format]:.1f} times as fast as float32 here "
            f"(cosine to it at least {self.cosines[self.number_format]:.5f})"
        )


@torch.inference_mode()
def choose_format(model: VideoColBERTModel) -> tuple[FormatChoice, VideoColBERTModel]:
    """Tries number formats on a model and chooses one.

    A layer of the image tower says which formats may be faster; of those, a whole pass over two frames says whether
    they are and what becomes of the vectors.

    Args:
        model: float32, in evaluation mode, on its device; it is left as it is.

    Returns:
        The choice, and the model in the chosen format, which shares with the given one what is the same.
    """
    others: list[NumberFormat] = [name for name in formats_of(model.device) if name != "float32"]
    if not others or sum(weight.numel() for weight in model.vision_model.parameters()) < SMALL_TOWER:
        return FormatChoice("float32"), model
    speeds = _layer_speeds(model, others)
    cosines: dict[str, float] = {}
    for name in sorted(others, key=lambda each: -speeds[each]):
        if speeds[name] < LEAST_GAIN:
            break
        candidate = with_image_tower_in(model, name)
        speeds[name], cosines[name] = compare_vectors(model, candidate)
        if speeds[name] >= LEAST_GAIN and cosines[name] >= LEAST_COSINE:
            return FormatChoice(name, speeds, cosines, is_new=True), candidate
    return FormatChoice("float32", speeds, cosines, is_new=True), model


@torch.inference_mode()
def compare_vectors(model: VideoColBERTModel, candidate: VideoColBERTModel) -> tuple[float, float]:
    """How many times as fast another model encodes two frames, and the least cosine of a vector to this one's.

    Args:
        model: in evaluation mode, on the CPU.
        candidate: the same in another format.
    """
    pixels = _probe_pixels(frame_side(model.config.vision_config))
    tried = _in_turn(functools.partial(_vectors, model, pixels), functools.partial(_vectors, candidate, pixels))
    return tried.speed, float(F.cosine_similarity(tried.found, tried.expected, dim=-1).min())


@dataclass(frozen=True)
class _Tried:
    """What two calls returned, and how many times as fast the second is."""

    expected: Tensor
    found: Tensor
    speed: float


def _layer_speeds(model: VideoColBERTModel, names: list[NumberFormat]) -> dict[str, float]:
    """How many times as fast as float32 the formats multiply by the largest layer of the image tower."""
    linears = [module for module in model.vision_model.modules() if type(module) is nn.Linear]
    largest = max(linears, key=lambda linear: linear.weight.numel())
    number = _FRAMES * num_patches(model.config.vision_config)
    rows = torch.randn(number, largest.in_features, generator=torch.Generator().manual_seed(0))
    speeds: dict[str, float] = {}
    for name in names:
        if name == "int8":
            other = functools.partial(RowScaledInt8Linear(largest), rows)
        else:
            dtype = getattr(torch, name)
            other = functools.partial(copy.deepcopy(largest).to(dtype), rows.to(dtype))
        speeds[name] = _in_turn(functools.partial(largest, rows), other).speed
    return speeds


def _in_turn(base: Callable[[], Tensor], other: Callable[[], Tensor]) -> _Tried:
    """Runs two calls in turn, so that what else the machine does hits both; the fastest run of each counts."""
    expected, found = base(), other()
    seconds: dict[Callable[[], Tensor], list[float]] = {base: [], other: []}
    for _ in range(_TIMES):
        for run, of_run in seconds.items():
            start = time.perf_counter()
            run()
            of_run.append(time.perf_counter() - start)
    return _Tried(expected, found, min(seconds[base]) / min(seconds[other]))


def _vectors(model: VideoColBERTModel, pixels: Tensor) -> Tensor:
    """All vectors of a video: `[N, D]`."""
    video = model.get_video_features(pixels, return_dict=True)
    levels = [video.frame_embeds] if video.video_embeds is None else [video.frame_embeds, video.video_embeds]
    return torch.cat([level.flatten(0, 1) for level in levels])


def _probe_pixels(side: int) -> Tensor:
    """[1, F, 3, S, S] normalised frames with edges and soft areas, always the same."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(_FRAMES, 3, 7, 7, generator=generator) * 4 - 2
    soft = F.interpolate(coarse, (side, side), mode="bicubic")
    hard = F.interpolate(coarse.flip(-1), (side, side), mode="nearest")
    return (0.6 * soft + 0.4 * hard)[None]
