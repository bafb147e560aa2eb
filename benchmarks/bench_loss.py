"""MeanMaxSim loss, forward and backward, against plain einsum + amax + autograd.

1,024 queries of 32 tokens against 1,024 videos of 12 frame and 14 video tokens, 512 dimensions, float32. Each side
runs in processes of its own, in turn, so that peak memory is its own. Targets: at most 1/20 of the extra peak
memory, at least twice as fast, gradients equal to 1e-5. (Where two tokens of a video are equally similar to a query
token within float32's rounding, the two sides may choose another one of them.)
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from benchmark_report import Target, run_benchmark
from own_process import run_in_own_process
from torch import Tensor

from video_colbert.modeling_video_colbert.late_interaction import mean_max_sim
from video_colbert.modeling_video_colbert.losses_video_colbert import sigmoid_loss

BATCH, QUERY_TOKENS, FRAME_TOKENS, VIDEO_TOKENS, WIDTH = 1024, 32, 12, 14, 512
ROUNDS = 2


def plain_mean_max_sim(query: Tensor, doc: Tensor) -> Tensor:
    """The formula as one would write it."""
    return torch.einsum("iqd,jkd->ijqk", query, doc).amax(-1).mean(-1)


SCORERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"plain": plain_mean_max_sim, "ours": mean_max_sim}


def run_side(side: str, folder: str) -> None:
    """Runs one forward and backward pass; writes seconds, extra peak bytes and gradients."""
    torch.set_num_threads(multiprocessing.cpu_count())
    generator = torch.Generator().manual_seed(0)
    query, frames, videos = (
        F.normalize(torch.randn(BATCH, tokens, WIDTH, generator=generator), dim=-1).requires_grad_()
        for tokens in (QUERY_TOKENS, FRAME_TOKENS, VIDEO_TOKENS)
    )
    positives = torch.eye(BATCH, dtype=torch.bool)
    scale, bias = torch.tensor(4.77), torch.tensor(-12.93)
    # Loads the libraries and starts the threads before memory and time are taken.
    warm_up = SCORERS[side](query[:8], videos[:8])
    torch.autograd.grad(sigmoid_loss(warm_up, positives[:8, :8], scale, bias), [query])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    levels = [sigmoid_loss(SCORERS[side](query, doc), positives, scale, bias) for doc in (frames, videos)]
    gradients = torch.autograd.grad(levels[0] + levels[1], [query, frames, videos])
    seconds = time.perf_counter() - start
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    result = {"seconds": seconds, "extra_bytes": extra, "gradients": list(gradients)}
    torch.save(result, Path(folder) / side)


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Runs both sides in turn and compares them."""
    seconds: dict[str, list[float]] = {side: [] for side in SCORERS}
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for side in SCORERS:
                results[side] = run_in_own_process(run_side, side, folder)
                seconds[side].append(results[side]["seconds"])
    pairs = list(zip(results["plain"]["gradients"], results["ours"]["gradients"], strict=True))
    difference = max((plain - ours).abs().max().item() for plain, ours in pairs)
    largest = max(plain.abs().max().item() for plain, _ in pairs)
    memory = results["ours"]["extra_bytes"] / results["plain"]["extra_bytes"]
    speed = min(seconds["plain"]) / min(seconds["ours"])
    figures = {
        "plain_seconds": min(seconds["plain"]),
        "ours_seconds": min(seconds["ours"]),
        "plain_extra_MB": results["plain"]["extra_bytes"] / 1e6,
        "ours_extra_MB": results["ours"]["extra_bytes"] / 1e6,
        "times_less_memory": 1 / memory,
        "times_faster": speed,
        "largest_gradient": largest,
        "largest_gradient_difference": difference,
    }
    return figures, [
        Target("extra peak memory over plain", memory, 1 / 20, at_least=False),
        Target("times faster than plain", speed, 2.0, at_least=True),
        Target("gradient difference", difference, 1e-5, at_least=False),
    ]


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
