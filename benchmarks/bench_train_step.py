"""A whole training step against the two towers alone.

A random model of the size of CLIP ViT-B/32, 12 frames, batch 8: forward, dual sigmoid loss and backward of
Video-ColBERT, against forward and backward of its text and image tower on the same inputs. The two run in turn.
Target: at most 1.06 times the towers' time, the median of 12 pairs.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from benchmark_report import Target, run_benchmark

from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel

BATCH, FRAMES, QUERY_TOKENS, PAIRS = 8, 12, 32, 12


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Times interleaved pairs."""
    torch.manual_seed(0)
    config = VideoColBERTConfig(
        text_config={"model_type": "clip_text_model"},
        vision_config={"model_type": "clip_vision_model", "patch_size": 32},
    )
    model = VideoColBERTModel(config).train()
    input_ids = torch.randint(1, 49000, (BATCH, QUERY_TOKENS))
    pixels = torch.randn(BATCH, FRAMES, 3, 224, 224)

    def whole_step() -> None:
        model(input_ids, pixels, return_loss=True).loss.backward()

    def towers_only() -> None:
        text = model.text_model(input_ids=input_ids).last_hidden_state
        image = model.vision_model(pixel_values=pixels.flatten(0, 1)).pooler_output
        (text.mean() + image.mean()).backward()

    for step in (whole_step, towers_only):
        seconds_of(step, model)
    whole: list[float] = []
    towers: list[float] = []
    for pair in range(PAIRS):
        # The order alternates, so that a drift of the machine's speed favours neither.
        for step, times in ((whole_step, whole), (towers_only, towers))[:: 1 if pair % 2 else -1]:
            times.append(seconds_of(step, model))
    ratio = statistics.median(a / b for a, b in zip(whole, towers, strict=True))
    figures = {
        "step_seconds_median": statistics.median(whole),
        "towers_seconds_median": statistics.median(towers),
        "step_over_towers_median": ratio,
        "step_over_towers_smallest": min(a / b for a, b in zip(whole, towers, strict=True)),
    }
    return figures, [Target("step over towers", ratio, 1.06, at_least=False)]


def seconds_of(step: Callable[[], None], model: VideoColBERTModel) -> float:
    """Times a step whose gradients are new tensors, as after `zero_grad(set_to_none=True)`."""
    model.zero_grad(set_to_none=True)
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
