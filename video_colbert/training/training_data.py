"""The rows a run trains on and those its best checkpoint is chosen on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import DatasetBuilder

from video_colbert.dataset_builders import MovingShapes, VideoFolder, load_benchmark
from video_colbert.training.arguments import TrainingArguments

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class TrainingData:
    """Rows of a run.

    Attributes:
        train: What is trained on.
        validation: What the best checkpoint is chosen on, never a test split.
        selection: How it is chosen, in words, for the model card.
        validation_split: Name of the validation rows in reports.
    """

    train: Rows
    validation: Rows
    selection: str
    validation_split: str


def load_training_data(arguments: TrainingArguments) -> TrainingData:
    """Loads the training and the validation rows.

    Args:
        arguments: Of the run.

    Returns:
        The rows; without a validation split, a seeded part of the training split is held out of it.

    Raises:
        ValueError: If the validation split is the test split or the training split is too small to hold out of.
    """
    train = load_rows(arguments, arguments.train_split, arguments.data_dir)
    if arguments.validation_split == "test":
        raise ValueError(
            "validation_split is 'test', but a checkpoint chosen on the test split has no honest test result; use a "
            "validation split, or none to hold part of the training split out."
        )
    if arguments.validation_split is not None or arguments.validation_data_dir is not None:
        split = arguments.validation_split or "validation"
        directory = arguments.validation_data_dir or arguments.data_dir
        return TrainingData(train, load_rows(arguments, split, directory), f"best R@1 on the {split} split", split)
    if arguments.hold_out >= len(train):
        raise ValueError(f"hold_out is {arguments.hold_out}, but there are {len(train)} training videos.")
    order = np.random.default_rng([arguments.seed, arguments.hold_out]).permutation(len(train))
    held_out = sorted(order[: arguments.hold_out].tolist())
    kept = sorted(order[arguments.hold_out :].tolist())
    return TrainingData(
        _select(train, kept),
        _select(train, held_out),
        f"best R@1 on {arguments.hold_out} videos held out of the {arguments.train_split} split "
        f"(seed {arguments.seed})",
        f"held out of {arguments.train_split}",
    )


def load_rows(arguments: TrainingArguments, split: str, directory: str | None) -> Rows:
    """Loads one split of the run's data set from its files.

    Raises:
        ValueError: If there is no such data set or split, or a benchmark is given no `data_dir`.
    """
    if arguments.dataset == "video_folder":
        return _prepared(VideoFolder(data_dir=directory, split=split, allow_missing=arguments.allow_missing), split)
    if arguments.dataset == "moving_shapes":
        return _prepared(MovingShapes(), split)
    if directory is None:
        raise ValueError(f"dataset {arguments.dataset!r} needs data_dir, the folder of its official files.")
    rows: Rows = load_benchmark(
        arguments.dataset,
        protocol=arguments.protocol,
        split=split,
        data_dir=directory,
        allow_missing=arguments.allow_missing,
    )
    return rows


def _prepared(builder: DatasetBuilder, split: str) -> Rows:
    builder.download_and_prepare()
    rows: Rows = builder.as_dataset(split=split)
    return rows


def _select(rows: Rows, indices: Sequence[int]) -> Rows:
    selected: Rows = rows.select(indices) if hasattr(rows, "select") else [rows[index] for index in indices]
    return selected


__all__ = ["Rows", "TrainingData", "load_rows", "load_training_data"]
