"""The micro-batches of each step on this process's device, decoded ahead by workers.

Pixels stay bytes: they are a quarter of the floats to transfer and to keep until the step comes to their micro-batch,
which is when it normalises them.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch.utils.data import DataLoader

from video_colbert.modeling_video_colbert import VideoColBERTConfig
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.epoch_batches import EpochBatches
from video_colbert.training.streamed_examples import StreamedExamples
from video_colbert.training.video_text_dataset import TrainingCollator, VideoTextDataset


class StepBatches:
    """Loads the micro-batches of steps.

    Args:
        accelerator: Of the run.
        dataset: Examples, of each epoch.
        batches: Which examples this process takes.
        processor: Tokenizes captions.
        arguments: Number of workers.
        config: Of a model with levels of texts; `None` for one without.

    Attributes:
        seconds_waited: How long the last step waited for its data.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        dataset: VideoTextDataset | StreamedExamples,
        batches: EpochBatches,
        processor: VideoColBERTProcessor,
        arguments: TrainingArguments,
        config: VideoColBERTConfig | None = None,
    ) -> None:
        self.device = accelerator.device
        self.dataset = dataset
        self.batches = batches
        self.collate = TrainingCollator(processor, config)
        self.num_workers = arguments.num_workers
        self.seconds_waited = 0.0

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[list[dict[str, Any]]]:
        """Yields the micro-batches of each step of an epoch, from `first_step` on.

        A micro-batch is what [`TrainingCollator`] makes, on the device: `pixel_values_videos` uint8 `[B, T, 3, H, W]`.
        """
        self.batches.start_at(epoch, first_step)
        # Begun here, for it is the main thread that hears of a worker's death.
        loaded = iter(self._loader(epoch))
        micro_batches: list[dict[str, Any]] = []
        waited = 0.0
        # The thread moves the next micro-batch while the step before it runs.
        with ThreadPoolExecutor(max_workers=1) as executor:
            upcoming = executor.submit(self.next_on_device, loaded)
            for _ in range(len(self.batches)):
                start = time.perf_counter()
                micro_batches.append(upcoming.result())
                waited += time.perf_counter() - start
                upcoming = executor.submit(self.next_on_device, loaded)
                if len(micro_batches) == self.batches.micro_batches_per_step:
                    self.seconds_waited = waited
                    yield micro_batches
                    micro_batches = []
                    waited = 0.0

    def _loader(self, epoch: int) -> DataLoader[Any]:
        return DataLoader(
            self.dataset.of_epoch(epoch),
            batch_sampler=self.batches,
            collate_fn=self.collate,
            num_workers=self.num_workers,
            prefetch_factor=4 if self.num_workers else None,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_group_signals_to_the_main_process,
            # The loader draws a number when it starts; from the global generator, it would shift what a resumed
            # run draws for dropout.
            generator=torch.Generator(),
        )

    def next_on_device(self, loaded: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """Returns the next micro-batch; an empty one after the last."""
        batch: dict[str, Any] = send_to_device(next(loaded, {}), self.device, non_blocking=True)
        return batch


def _leave_group_signals_to_the_main_process(worker: int) -> None:
    """Lets a worker go on when Ctrl-C or a scheduler signals the run's process group, so that the run ends in order.

    Signals are not ignored, for the main process ends its workers by one.
    """
    os.setpgid(0, 0)


__all__ = ["StepBatches"]
