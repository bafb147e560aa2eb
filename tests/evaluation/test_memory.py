"""How much memory an evaluation takes beside the tokens it is given, measured in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from video_colbert.evaluation.two_way_ranks import two_way_rank_counts

MIB = 2**20
MEASURE = """
import json, resource, sys
from pathlib import Path
from tests.evaluation.synthetic_splits import random_split
from video_colbert.evaluation.retrieval import evaluate_split

def memory(field):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024

number = int(sys.argv[1])
evaluate_split(random_split(50, 50), dataset="warm-up", split_name="test")
split = random_split(number, number)
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
before = memory("VmRSS:")
results = evaluate_split(split, dataset="random", split_name="test")
print(json.dumps({
    "above": memory("VmHWM:") - before,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "num_queries": results[0].num_queries,
    "mean_ranks": [result.metrics["MnR"] for result in results],
}))
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures with Linux's /proc")


def measure(number: int) -> dict[str, float]:
    """Evaluates so many random texts and videos, 32 and 12 + 14 tokens of 128, and gives bytes of memory."""
    command = [sys.executable, "-c", MEASURE, str(number)]
    # Freed memory goes back at once, so that the peak is what was held and not how the allocator kept pieces of it.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(MIB), "MALLOC_TRIM_THRESHOLD_": str(MIB)}
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2], env=environment
    )
    found: dict[str, float] = json.loads(run.stdout)
    assert found["num_queries"] == number
    # Random tokens rank their own video anywhere.
    assert found["mean_ranks"] == pytest.approx([number / 2] * 6, rel=0.1)
    return found


def test_no_block_is_larger_than_asked_for_however_large_the_matrix() -> None:
    shapes = []

    def score_block(rows: torch.Tensor, columns: slice) -> dict[str, torch.Tensor]:
        places = torch.arange(columns.start, columns.stop)
        shapes.append((len(rows), len(places)))
        return {"level": -(rows[:, None] - places).abs().float()}

    counts = two_way_rank_counts(score_block, list(range(3000)), 3000)
    assert counts["level"].text_to_video.better.sum() == 0
    assert max(texts for texts, _ in shapes) <= 512
    assert max(videos for _, videos in shapes) <= 1024
    # Every block once, and those on the diagonal once more.
    assert sum(texts * videos for texts, videos in shapes) <= 3000 * 3000 + 3000 * 2048


@needs_proc
@pytest.mark.slow
def test_memory_above_the_tokens_does_not_grow_with_the_number_of_texts_and_videos() -> None:
    small, large = measure(1000)["above"], measure(4000)["above"]
    # A 4,000 x 4,000 matrix of float32 is 61 MiB, of each of three levels.
    assert large - small < 16 * MIB


@needs_proc
@pytest.mark.slow
def test_twenty_thousand_texts_and_videos_peak_below_4_gib() -> None:
    assert measure(20_000)["peak"] < 4 * 1024 * MIB
