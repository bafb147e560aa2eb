"""A training step by cached gradients against one that keeps the graph of the whole batch.

32 videos of 8 frames in 8 micro-batches, CLIP-like towers of 6 layers of width 256 on 224-pixel frames, float32,
dropout on. Both see the same micro-batches and random numbers; the plain step embeds them all before its one backward
pass. Each side runs in a process of its own, one after the other, so that peak memory is its own. Targets: at most
1/3 of the extra peak memory, gradients equal to 1e-5 of the largest.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from benchmark_report import Target, run_benchmark
from own_process import run_in_own_process
from torch import Tensor

from video_colbert.modeling_video_colbert import (
    QueryEmbeddings,
    VideoColBERTConfig,
    VideoColBERTModel,
    VideoEmbeddings,
)
from video_colbert.training.contrastive_step import contrastive_step

EXAMPLES, FRAMES, MICRO_BATCHES, QUERY_TOKENS = 32, 8, 8, 32
VOCABULARY = 1000


def build_model() -> VideoColBERTModel:
    """Builds a random model in training mode."""
    torch.manual_seed(0)
    tower = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4}
    tokens = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = VideoColBERTConfig(
        text_config={**tower, **tokens, "model_type": "clip_text_model"},
        vision_config={**tower, "model_type": "clip_vision_model", "patch_size": 32},
        projection_dim=256,
        logit_scale_init=2.3,
        logit_bias_init=-3.0,
    )
    model: VideoColBERTModel = VideoColBERTModel(config).train()
    return model


def make_batches(examples: int) -> list[dict[str, Tensor]]:
    """Makes the micro-batches of a step from random numbers."""
    generator = torch.Generator().manual_seed(1)
    size = examples // MICRO_BATCHES
    return [
        {
            "input_ids": torch.randint(2, VOCABULARY, (size, QUERY_TOKENS), generator=generator),
            "attention_mask": torch.ones(size, QUERY_TOKENS, dtype=torch.long),
            "pixel_values_videos": torch.randn(size, FRAMES, 3, 224, 224, generator=generator),
            "video_mask": torch.ones(size, FRAMES, dtype=torch.bool),
            "video_keys": torch.arange(size) + first,
            "caption_keys": torch.arange(size) + first,
        }
        for first in range(0, examples, size)
    ]


def plain_step(accelerator: Accelerator, model: VideoColBERTModel, batches: list[dict[str, Tensor]]) -> None:
    """Embeds everything with its graph, then takes the loss and one backward pass."""
    outputs = [
        model(batch["input_ids"], batch["pixel_values_videos"], batch["attention_mask"], batch["video_mask"])
        for batch in batches
    ]
    queries, videos = [output.query for output in outputs], [output.video for output in outputs]
    query = QueryEmbeddings(**{name: torch.cat([each[name] for each in queries]) for name in queries[0]})
    video = VideoEmbeddings(**{name: torch.cat([each[name] for each in videos]) for name in videos[0]})
    loss, _ = model.loss(model.score(query, video))
    accelerator.backward(loss)


STEPS: dict[str, Any] = {"plain": plain_step, "cached": contrastive_step}


def run_side(side: str, folder: str) -> None:
    """Runs one step; writes seconds, extra peak bytes and gradients."""
    torch.set_num_threads(multiprocessing.cpu_count())
    accelerator = Accelerator(cpu=True)
    model = accelerator.prepare(build_model())
    # Loads the libraries, starts the threads and makes the gradients, which both sides hold, before memory is taken.
    STEPS[side](accelerator, model, make_batches(MICRO_BATCHES))
    model.zero_grad(set_to_none=False)
    batches = make_batches(EXAMPLES)
    torch.manual_seed(2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    STEPS[side](accelerator, model, batches)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gradients = [parameter.grad for parameter in model.parameters()]
    result = {"seconds": seconds, "extra": (peak - before) * 1024, "peak": peak * 1024, "gradients": gradients}
    torch.save(result, Path(folder) / side)


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Runs both sides in turn and compares them."""
    with tempfile.TemporaryDirectory() as folder:
        results = {side: run_in_own_process(run_side, side, folder) for side in STEPS}
    plain, cached = results["plain"], results["cached"]
    # Relative to the largest gradient of all, since some are zero but for rounding.
    pairs = list(zip(plain["gradients"], cached["gradients"], strict=True))
    largest = max(expected.abs().max().item() for expected, _ in pairs)
    difference = max((expected - actual).abs().max().item() for expected, actual in pairs) / largest
    ratio = cached["extra"] / plain["extra"]
    figures = {
        "examples": EXAMPLES,
        "micro_batches": MICRO_BATCHES,
        "plain_extra_MB": plain["extra"] / 1e6,
        "cached_extra_MB": cached["extra"] / 1e6,
        "plain_process_peak_MB": plain["peak"] / 1e6,
        "cached_process_peak_MB": cached["peak"] / 1e6,
        "times_less_memory": 1 / ratio,
        "plain_seconds": plain["seconds"],
        "cached_seconds": cached["seconds"],
        "largest_relative_gradient_difference": difference,
    }
    return figures, [
        Target("extra peak memory over plain", ratio, 1 / 3, at_least=False),
        Target("gradient difference", difference, 1e-5, at_least=False),
    ]


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
