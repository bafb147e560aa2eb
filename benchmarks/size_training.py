"""Time and memory of full-size training on this machine's accelerator: the table of docs/reproduce.md.

    python benchmarks/size_training.py                               every cell of the published table
    python benchmarks/size_training.py --cells msrvtt-clip_b32 --micro-batch 128

A cell is a data set and a backbone: their two recipes, in bfloat16 on one process, with as many micro-batches a step
as make the global batch of 128, of the recipes' size or another. The model has the backbone's size and random weights,
and frames and words are random too: neither time nor memory depends on what they are. A step is the whole one of
`train.py` (loss over all 128 pairs, gradients, AdamW) on frames that are decoded already and on the accelerator.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from benchmark_report import environment, script_parser
from sized_checkpoint import TOWERS
from tqdm import tqdm

from video_colbert.dataset_builders.protocols import get_protocol
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.processing import VideoColBERTVideoProcessor
from video_colbert.training.arguments import TrainingArguments, parse_arguments
from video_colbert.training.contrastive_step import Batch, contrastive_step
from video_colbert.training.optimization import build_optimizer

RECIPES = Path(__file__).parents[1] / "recipes"
GLOBAL_BATCH = 128
CELLS = (
    "msrvtt-clip_b32",
    "didemo-clip_b32",
    "activitynet-clip_b32",
    "msrvtt-clip_b16",
    "msvd-clip_b16",
    "vatex-clip_b16",
    "msrvtt-siglip_b16",
    "msvd-siglip_b16",
    "vatex-siglip_b16",
    "didemo-siglip_b16",
    "activitynet-siglip_b16",
)


@dataclass(frozen=True)
class Shape:
    """What time and memory of a step depend on; cells of one shape are measured once.

    Attributes:
        backbone: name of its recipe.
        num_frames: frames of a video.
        query_length: tokens of a query.
        micro_batch: pairs whose activations are held at a time.
    """

    backbone: str
    num_frames: int
    query_length: int
    micro_batch: int


@dataclass(frozen=True)
class StepSize:
    """What a step of 128 pairs takes.

    Attributes:
        seconds: the median.
        peak_bytes: memory of tensors at its largest.
    """

    seconds: float
    peak_bytes: int


def arguments_of(cell: str) -> TrainingArguments:
    """The recipes of a cell."""
    data, backbone = cell.split("-")
    return parse_arguments(
        ["--recipe", str(RECIPES / "data" / f"{data}.yaml"), str(RECIPES / "backbone" / f"{backbone}.yaml")]
    )


def num_pairs(arguments: TrainingArguments) -> int:
    """Training pairs of a cell: those of its protocol without those held out to choose the checkpoint on."""
    train = get_protocol(arguments.dataset, arguments.protocol).splits["train"]
    if arguments.validation_split is not None:
        return train.queries or 0
    return (train.queries or 0) - arguments.hold_out * (train.captions_per_video or 0)


def shape_of(cell: str, arguments: TrainingArguments) -> Shape:
    """The shape of a cell's steps."""
    return Shape(
        cell.split("-")[1],
        arguments.num_frames,
        arguments.config_overrides["query_length"],
        arguments.per_device_train_batch_size,
    )


def row_of(arguments: TrainingArguments, size: StepSize) -> str:
    """The columns of a cell; hours are of the seconds as they are printed."""
    pairs, seconds = num_pairs(arguments), float(f"{size.seconds:.3g}")
    hours = arguments.num_train_epochs * (pairs // GLOBAL_BATCH) * seconds / 3600
    columns = [
        f"{pairs:,} x {arguments.num_train_epochs}",
        str(arguments.per_device_train_batch_size),
        f"{seconds:.3g} s",
        f"{hours:.2f} h",
        f"{size.peak_bytes / 1e9:.1f} GB",
    ]
    return " | ".join(columns)


def random_micro_batch(shape: Shape, model: VideoColBERTModel, number: int, device: torch.device) -> Batch:
    """Captions of full length and videos of uint8 pixels that no other micro-batch has."""
    size, vocabulary = model.config.vision_config.image_size, model.config.text_config.vocab_size
    keys = torch.arange(shape.micro_batch, device=device) + number * shape.micro_batch
    return {
        "input_ids": torch.randint(1, vocabulary, (shape.micro_batch, shape.query_length), device=device),
        "attention_mask": torch.ones(shape.micro_batch, shape.query_length, dtype=torch.long, device=device),
        "pixel_values_videos": torch.randint(
            0, 256, (shape.micro_batch, shape.num_frames, 3, size, size), dtype=torch.uint8, device=device
        ),
        "video_mask": torch.ones(shape.micro_batch, shape.num_frames, dtype=torch.bool, device=device),
        "video_keys": keys,
        "caption_keys": keys,
    }


def measure(
    accelerator: Accelerator, shape: Shape, config: VideoColBERTConfig, arguments: TrainingArguments, steps: int
) -> StepSize:
    """Trains a random model of this shape for some steps, after two that are not timed."""
    device = accelerator.device
    model = VideoColBERTModel(config).train()
    model, optimizer = accelerator.prepare(model, build_optimizer(model, arguments))
    normalize = VideoColBERTVideoProcessor().normalize
    batches = [
        random_micro_batch(shape, accelerator.unwrap_model(model), number, device)
        for number in range(GLOBAL_BATCH // shape.micro_batch)
    ]
    seconds = []
    for step in range(2 + steps):
        if device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        contrastive_step(accelerator, model, batches, normalize)
        accelerator.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if step >= 2:
            seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    accelerator.free_memory(model, optimizer)
    return StepSize(statistics.median(seconds), peak)


def main() -> int:
    """Measures and prints a line a cell."""
    parser = script_parser(__doc__)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS, metavar="CELL", help=", ".join(CELLS))
    parser.add_argument(
        "--micro-batch", type=int, metavar="N", help="pairs whose activations are held at a time; divides 128"
    )
    parser.add_argument("--steps", type=int, default=5, help="timed steps; the median counts")
    options = parser.parse_args()
    if options.micro_batch is not None and (options.micro_batch < 1 or GLOBAL_BATCH % options.micro_batch):
        parser.error(f"--micro-batch must divide {GLOBAL_BATCH}, got {options.micro_batch}")
    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="bf16")
    for name, value in environment().items():
        print(f"{name}: {value}")
    print("| Cell | pairs x epochs | micro-batch | a step of 128 pairs | all steps | GPU memory |")
    print("|---|---|---|---|---|---|")
    sizes: dict[Shape, StepSize] = {}
    for cell in tqdm(options.cells, unit="cell", disable=None):
        arguments = arguments_of(cell)
        if options.micro_batch is not None:
            arguments.per_device_train_batch_size = options.micro_batch
        shape = shape_of(cell, arguments)
        if shape not in sizes:
            config = VideoColBERTConfig(**(TOWERS[shape.backbone] | arguments.config_overrides))
            sizes[shape] = measure(accelerator, shape, config, arguments, options.steps)
        print(f"| {cell} | {row_of(arguments, sizes[shape])} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
