"""Which examples a process sees, in which order: a function of seed, epoch and position."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """The micro-batches of one process in one epoch, as lists of (epoch, example) indices.

    All processes walk one shuffled order, a global batch at a time; an incomplete global batch at the end is left
    out, and other examples are left out in the next epoch.

    Args:
        num_examples: Number of examples.
        micro_batch_size: Examples of a micro-batch.
        micro_batches_per_step: Micro-batches of this process in one step.
        seed: The run's seed.
        rank: This process.
        world_size: Number of processes.

    Raises:
        ValueError: If the examples do not fill one global batch.
    """

    def __init__(
        self,
        num_examples: int,
        micro_batch_size: int,
        *,
        micro_batches_per_step: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.num_examples = num_examples
        self.micro_batch_size = micro_batch_size
        self.micro_batches_per_step = micro_batches_per_step
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.first_step = 0
        if self.num_steps == 0:
            raise ValueError(
                f"{num_examples} training examples do not fill one batch of {self.global_batch_size} "
                "(per_device_train_batch_size x gradient_accumulation_steps x processes); use a smaller batch."
            )

    @property
    def global_batch_size(self) -> int:
        """Examples of one step over all processes."""
        return self.micro_batch_size * self.micro_batches_per_step * self.world_size

    @property
    def num_steps(self) -> int:
        """Steps of one epoch."""
        return self.num_examples // self.global_batch_size

    def start_at(self, epoch: int, first_step: int) -> None:
        """Sets the epoch and the step of it that the next iteration begins at."""
        self.epoch = epoch
        self.first_step = first_step

    def __len__(self) -> int:
        return (self.num_steps - self.first_step) * self.micro_batches_per_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_examples)
        share = self.micro_batch_size * self.micro_batches_per_step
        for step in range(self.first_step, self.num_steps):
            start = step * self.global_batch_size + self.rank * share
            for first in range(start, start + share, self.micro_batch_size):
                yield [(self.epoch, int(example)) for example in order[first : first + self.micro_batch_size]]


__all__ = ["EpochBatches"]
