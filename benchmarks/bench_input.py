"""The training input, decoded by a worker beside the step, against ready tensors and against either side alone.

300 clips of 48 frames of 320 x 240 pixels, 12 frames of each at 224 pixels, batches of 5, one worker; the median of
three rounds, worker start-up included.

Both sides of a comparison take the same step, which is handed a batch of uint8 frames: from the loader, or one that
is ready in memory. A step that stands in for an accelerator sleeps; the transfer to it is a copy of the bytes in the
thread that transfers in training, and costs ready tensors nothing. Normalising the frames is part of the step in
training: the accelerator's work, for which the sleep stands, or done by the step that computes on the processor, which
then multiplies matrices.

Targets:
- warm cache of decoded frames, a step that sleeps 5 ms a clip: at least 0.9 of the throughput from ready tensors;
- cold cache, a step that sleeps as long as decoding takes: at least 0.85 of the slower of decoding and step;
- cold cache, a step that computes on the processor: at least 0.9 of 1 / (1 / decoding + 1 / computing).
"""

import functools
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from accelerate import Accelerator
from benchmark_report import Target, run_benchmark
from torch import Tensor

from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.epoch_batches import EpochBatches
from video_colbert.training.step_batches import StepBatches
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer
from video_colbert.training.video_text_dataset import build_training_dataset

CLIPS, CLIP_FRAMES, WIDTH, HEIGHT = 300, 48, 320, 240
BATCH, FRAMES, IMAGE_SIZE = 5, 12, 224
STEP_SECONDS = 0.005
ROUNDS = 3

Batch = dict[str, Any]
Step = Callable[[Batch], None]


def write_clip(path: Path) -> None:
    """Writes a clip of moving noise, which is as hard to decode as film."""
    generator = np.random.default_rng(0)
    canvas = generator.integers(0, 256, (HEIGHT // 8 + 16, WIDTH // 8 + 16, 3), dtype=np.uint8)
    canvas = canvas.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for shift in range(CLIP_FRAMES):
            pixels = np.ascontiguousarray(canvas[shift : shift + HEIGHT, 2 * shift : 2 * shift + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def make_rows(folder: Path) -> list[dict[str, Any]]:
    """Writes the clips: copies of one, which the cache tells apart by their time of change."""
    write_clip(folder / "clip.mp4")
    rows = []
    for number in range(CLIPS):
        path = str(shutil.copy(folder / "clip.mp4", folder / f"{number:03d}.mp4"))
        video = {"path": path, "bytes": None}
        rows.append({"video_id": path, "video": video, "captions": ["noise that moves"], "start": None, "end": None})
    return rows


def throughput(batches: Iterable[list[Batch]], step: Step | None = None) -> float:
    """Takes a step, if any, with every batch; returns clips a second."""
    start = time.perf_counter()
    clips = 0
    for micro_batches in batches:
        for batch in micro_batches:
            if step is not None:
                step(batch)
            clips += len(batch["video_ids"])
    return clips / (time.perf_counter() - start)


def sleeping(seconds: float) -> Step:
    """Makes a step that leaves the processor to others for so long a clip, as one on an accelerator does.

    It sleeps once a batch: the system wakes a sleeper late, which an accelerator is not.
    """

    def step(batch: Batch) -> None:
        time.sleep(seconds * len(batch["video_ids"]))

    return step


def computing(seconds: float, normalize: Callable[[Tensor], Tensor]) -> Step:
    """Makes a step that normalises the batch and multiplies matrices for about so long a clip."""
    left, right = torch.randn(256, 256), torch.randn(256, 256)
    start = time.perf_counter()
    for _ in range(200):
        left @ right
    products = max(round(seconds * 200 / (time.perf_counter() - start)), 1)

    def step(batch: Batch) -> None:
        normalize(batch["pixel_values_videos"])
        for _ in range(products * len(batch["video_ids"])):
            left @ right

    return step


class TransferredBatches(StepBatches):
    """Copies the bytes of each batch where a run on an accelerator transfers them."""

    @functools.cached_property
    def device_memory(self) -> Iterator[Tensor]:
        """Memory for the batch of the step, the one after it, and one to spare, in turn."""
        shape = (BATCH, FRAMES, 3, IMAGE_SIZE, IMAGE_SIZE)
        return itertools.cycle([torch.zeros(shape, dtype=torch.uint8) for _ in range(3)])

    def next_on_device(self, loaded: Iterator[Batch]) -> Batch:
        """The next micro-batch, its pixels copied once more."""
        batch = super().next_on_device(loaded)
        if batch:
            batch["pixel_values_videos"] = next(self.device_memory).copy_(batch["pixel_values_videos"])
        return batch


class Loading:
    """Loads an epoch of the clips, with a cache that is warm or not.

    Args:
        folder: For clips, caches and the processor's backbone.
    """

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        clips = folder / "clips"
        clips.mkdir()
        self.rows = make_rows(clips)
        tokenizer = train_clip_tokenizer(["noise that moves"])
        backbone = save_tiny_clip_backbone(folder / "backbone", tokenizer, image_size=IMAGE_SIZE)
        self.processor = VideoColBERTProcessor.from_backbone(backbone, query_length=8, num_frames=FRAMES)
        self.arguments = TrainingArguments(
            backbone=str(backbone), frame_cache=str(self.cache), random_frames=False, num_workers=1
        )
        self.accelerator = Accelerator(cpu=True)

    def epoch(self, *, is_warm: bool, kind: type[StepBatches]) -> Iterable[list[Batch]]:
        """Yields an epoch's steps; forgets the cache first if it is not to be warm."""
        if not is_warm:
            shutil.rmtree(self.cache, ignore_errors=True)
        dataset = build_training_dataset(self.rows, self.processor, self.arguments)
        batches = EpochBatches(len(dataset), BATCH)
        return kind(self.accelerator, dataset, batches, self.processor, self.arguments).epoch(0)


def measure_round(loading: Loading) -> dict[str, float]:
    """Measures each throughput once, in clips a second."""
    decoding = throughput(loading.epoch(is_warm=False, kind=StepBatches))
    pixels = torch.full((BATCH, FRAMES, 3, IMAGE_SIZE, IMAGE_SIZE), 128, dtype=torch.uint8)
    ready: list[list[Batch]] = [[{"video_ids": range(BATCH), "pixel_values_videos": pixels}]] * (CLIPS // BATCH)
    compute = computing(1 / decoding, loading.processor.video_processor.normalize)
    return {
        "decode_only": decoding,
        "ready_tensors_5ms": throughput(ready, sleeping(STEP_SECONDS)),
        "warm_5ms": throughput(loading.epoch(is_warm=True, kind=TransferredBatches), sleeping(STEP_SECONDS)),
        "sleep_only": throughput(ready, sleeping(1 / decoding)),
        "cold_sleep": throughput(loading.epoch(is_warm=False, kind=TransferredBatches), sleeping(1 / decoding)),
        "compute_only": throughput(ready, compute),
        "cold_compute": throughput(loading.epoch(is_warm=False, kind=StepBatches), compute),
    }


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Runs the rounds and takes each target's ratio within a round."""
    # The other core is the worker's.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        loading = Loading(Path(folder))
        rounds = [measure_round(loading) for _ in range(ROUNDS)]
    ratios = {
        "warm over ready tensors": [each["warm_5ms"] / each["ready_tensors_5ms"] for each in rounds],
        "cold over the slower of decoding and sleeping": [
            each["cold_sleep"] / min(each["decode_only"], each["sleep_only"]) for each in rounds
        ],
        "cold over decoding and computing in turn": [
            each["cold_compute"] * (1 / each["decode_only"] + 1 / each["compute_only"]) for each in rounds
        ],
    }
    figures = {f"{name}_clips_per_second": statistics.median(each[name] for each in rounds) for name in rounds[0]}
    limits = (0.9, 0.85, 0.9)
    return figures, [
        Target(name, statistics.median(values), limit, at_least=True)
        for (name, values), limit in zip(ratios.items(), limits, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
