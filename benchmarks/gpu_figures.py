"""What a GPU gives: clips encoded, a million videos searched and training steps, each beside what it is held against.

    python benchmarks/gpu_figures.py

Encoding: a model of the size of CLIP ViT-B/32 with random weights, in bfloat16, on clips of 12 frames that lie on the
GPU already, against the same clips as files through `index.add`, which decodes in processes: the share says whether
decoding keeps the GPU fed. Search: a million videos of 26 tokens of 128 numbers are scored for one query, on the GPU
and on the CPU; they are 20 times the same 50,000, which changes no time. Training: the whole step of 128 pairs of
`size_training.py`, in micro-batches of 128 and of 16. Without a GPU it says so and ends with exit code 2.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from benchmark_report import Target, run_benchmark
from clustered_tokens import ClusteredTokens
from size_training import arguments_of, measure, shape_of
from sized_checkpoint import TOWERS, save_sized_checkpoint

from video_colbert import VideoColBERTEncoder, open_index
from video_colbert.dataset_builders.shapes.moving_shapes import MovingShapesConfig
from video_colbert.dataset_builders.shapes.moving_shapes_folder import write_moving_shapes
from video_colbert.index.search.scoring import BoundedScorer
from video_colbert.modeling_video_colbert import VideoColBERTConfig

CLIPS, FRAMES, TOGETHER = 1024, 12, 32
VIDEOS_OF_PART, PARTS = 50_000, 20
ROUNDS = 5


def main() -> tuple[dict[str, Any], list[Target]]:
    """Measures all three."""
    return encoding() | search() | training(), []


def encoding() -> dict[str, Any]:
    """Clips a second of the model alone and of `index.add`."""
    with tempfile.TemporaryDirectory() as folder:
        made = MovingShapesConfig(num_test=CLIPS, num_frames=28, image_size=224)
        videos = write_moving_shapes(Path(folder) / "clips", made, "test")
        checkpoint = save_sized_checkpoint(Path(folder) / "model")
        encoder = VideoColBERTEncoder.from_pretrained(checkpoint, device="cuda", dtype="bfloat16")
        pixels = torch.randn(TOGETHER, FRAMES, 3, 224, 224, device="cuda", dtype=torch.bfloat16)
        mask = torch.ones(TOGETHER, FRAMES, dtype=torch.bool, device="cuda")

        def alone() -> None:
            with torch.inference_mode():
                encoder.model.get_video_features(pixels, mask)
            torch.cuda.synchronize()

        alone_rate = TOGETHER / _seconds(alone)
        # Once without the clock, as the server of the decoding processes starts with the first run.
        first = sorted(map(str, videos.rglob("*.mp4")))[:TOGETHER]
        open_index("memory://", encoder, num_frames=FRAMES).add(first, batch_size=TOGETHER)
        started = time.perf_counter()
        report = open_index("memory://", encoder, num_frames=FRAMES).add([str(videos)], batch_size=TOGETHER)
        fed_rate = len(report.added) / (time.perf_counter() - started)
    return {
        "encoding, clips a second, the model alone": alone_rate,
        "encoding, clips a second, from files": fed_rate,
        "encoding, share of the model's rate from files": fed_rate / alone_rate,
    }


def search() -> dict[str, Any]:
    """Milliseconds in which a million videos are scored for a query."""
    bags, queries = ClusteredTokens(VIDEOS_OF_PART, width=128).make(ROUNDS)
    figures: dict[str, Any] = {}
    seconds = {}
    for device, parts in (("cuda", PARTS), ("cpu", 1)):
        part = BoundedScorer.of(bags, device=device)
        scorer = BoundedScorer.concatenate([part] * parts)

        def ask(scorer: BoundedScorer = scorer, device: str = device) -> None:
            scorer.scores(queries.select(range(1)))
            if device == "cuda":
                torch.cuda.synchronize()

        seconds[device] = _seconds(ask) * PARTS / parts
        figures[f"search, ms for a million videos, {device}, {scorer.number_format.name}"] = 1000 * seconds[device]
        del scorer, part
    return figures | {"search, times faster than the CPU": seconds["cpu"] / seconds["cuda"]}


def training() -> dict[str, Any]:
    """Seconds of a training step of 128 pairs."""
    accelerator = Accelerator(mixed_precision="bf16")
    arguments = arguments_of("msrvtt-clip_b32")
    figures: dict[str, Any] = {}
    for micro_batch in (128, 16):
        arguments.per_device_train_batch_size = micro_batch
        shape = shape_of("msrvtt-clip_b32", arguments)
        config = VideoColBERTConfig(**(TOWERS[shape.backbone] | arguments.config_overrides))
        size = measure(accelerator, shape, config, arguments, ROUNDS)
        figures[f"training, s a step of 128 pairs in {micro_batch}s"] = size.seconds
        figures[f"training, GB at most in {micro_batch}s"] = size.peak_bytes / 1e9
    return figures


def _seconds(run: Callable[[], None]) -> float:
    """The median of some runs, after two that do not count."""
    seconds = []
    for number in range(2 + ROUNDS):
        started = time.perf_counter()
        run()
        if number >= 2:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    if not torch.cuda.is_available():
        print("there is no GPU that torch finds")
        sys.exit(2)
    sys.exit(run_benchmark(__doc__ or "", main))
