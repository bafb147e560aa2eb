"""The micro-batches of each step on this process's device, decoded ahead by workers."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch.utils.data import DataLoader

from processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.epoch_batches import EpochBatches
from video_colbert.training.video_text_dataset import TrainingCollator, VideoTextDataset


class StepBatches:
    """Loads the micro-batches of steps.

    Args:
        accelerator: Of the run.
        dataset: Examples.
        batches: Which examples this process takes.
        processor: Tokenizes captions and normalises frames.
        arguments: Number of workers.

    Attributes:
        seconds_waited: How long the last step waited for its data.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        dataset: VideoTextDataset,
        batches: EpochBatches,
        processor: VideoColBERTProcessor,
        arguments: TrainingArguments,
    ) -> None:
        self.device = accelerator.device
        self.batches = batches
        self.video_processor = processor.video_processor
        self.seconds_waited = 0.0
        self.loader = DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=TrainingCollator(processor),
            num_workers=arguments.num_workers,
            prefetch_factor=4 if arguments.num_workers else None,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_signals_to_the_main_process,
            # The loader draws a number when it starts; from the global generator, it would shift what a resumed
            # run draws for dropout.
            generator=torch.Generator(),
        )

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[list[dict[str, Any]]]:
        """Yields the micro-batches of each step of an epoch, from `first_step` on."""
        self.batches.start_at(epoch, first_step)
        micro_batches: list[dict[str, Any]] = []
        start = time.perf_counter()
        for batch in self.loader:
            batch = send_to_device(batch, self.device, non_blocking=True)
            if "pixel_values_videos" in batch:
                # Bytes travel to the device, not floats of four times their size.
                batch["pixel_values_videos"] = self.video_processor.normalize(batch["pixel_values_videos"])
            micro_batches.append(batch)
            if len(micro_batches) == self.batches.micro_batches_per_step:
                self.seconds_waited = time.perf_counter() - start
                yield micro_batches
                micro_batches = []
                start = time.perf_counter()


def _leave_signals_to_the_main_process(worker: int) -> None:
    """Lets a worker go on when a scheduler or Ctrl-C signals all processes of a run, which then ends in order."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


__all__ = ["StepBatches"]
