"""The rows a run trains on and those its best checkpoint is chosen on."""

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DatasetBuilder

from video_colbert.data.opened.dataset_names import NAMES_IN_WORDS, VIDEOFOLDER, is_opened
from video_colbert.data.opened.dataset_rows import load_dataset_rows
from video_colbert.data.opened.row_stream import RowStream
from video_colbert.dataset_builders import PROTOCOLS, MovingShapes, VideoFolder, load_benchmark
from video_colbert.training.arguments import TrainingArguments

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class TrainingData:
    """Rows of a run.

    Attributes:
        train: What is trained on; nothing where it is streamed.
        validation: What the best checkpoint is chosen on, never a test split.
        selection: How it is chosen, in words, for the model card.
        validation_split: Name of the validation rows in reports.
        stream: What is trained on where it is streamed.
        folder: Where the videos of a stream are kept as long as they are needed.
    """

    train: Rows
    validation: Rows
    selection: str
    validation_split: str
    stream: RowStream | None = None
    folder: Path | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps the videos of a stream for as long as the context lasts."""
        try:
            yield
        finally:
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)


def load_training_data(arguments: TrainingArguments, *, process: int = 0) -> TrainingData:
    """Loads the training and the validation rows.

    Args:
        arguments: Of the run.
        process: Number of this training process; each has a folder of its own for what is streamed.

    Returns:
        The rows; without a validation split, a seeded part of the training split is held out of it.

    Raises:
        ValueError: If the validation split is the test split or the training split is too small to hold out of.
    """
    if arguments.validation_split == "test":
        raise ValueError(
            "validation_split is 'test', but a checkpoint chosen on the test split has no honest test result; use a "
            "validation split, or none to hold part of the training split out."
        )
    if arguments.streaming:
        return _streamed_data(arguments, Path(arguments.output_dir) / "stream" / f"process_{process}")
    train = load_rows(arguments, arguments.train_split, arguments.data_dir)
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
    """Loads one split of the run's data set from its files, or from the Hub.

    Raises:
        ValueError: If there is no such data set or split, or a benchmark is given no `data_dir`.
        DatasetError: If a data set of the Hub cannot be opened, or its columns are not understood.
    """
    if arguments.dataset == "video_folder":
        return _prepared(VideoFolder(data_dir=directory, split=split, allow_missing=arguments.allow_missing), split)
    if arguments.dataset == "moving_shapes":
        return _prepared(MovingShapes(), split)
    if arguments.dataset not in PROTOCOLS:
        if not is_opened(arguments.dataset):
            names = ", ".join([*PROTOCOLS, "video_folder", "moving_shapes"])
            raise ValueError(f"there is no data set {arguments.dataset!r}; there are {names}, and {NAMES_IN_WORDS}")
        return load_dataset_rows(
            arguments.dataset,
            split=split,
            config=arguments.protocol,
            data_dir=directory,
            caption_column=arguments.caption_column,
            allow_missing=arguments.allow_missing,
        )
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


def _streamed_data(arguments: TrainingArguments, folder: Path) -> TrainingData:
    """Opens a stream of the training rows; the validation rows are read at once, and their videos kept for the run."""
    stream = _open_stream(arguments, arguments.train_split, arguments.data_dir)
    shutil.rmtree(folder, ignore_errors=True)
    if arguments.validation_split is not None or arguments.validation_data_dir is not None:
        split = arguments.validation_split or "validation"
        other = _open_stream(arguments, split, arguments.validation_data_dir or arguments.data_dir)
        rows = list(other.once(folder / "validation"))
        return TrainingData([], rows, f"best R@1 on the {split} split", split, stream, folder)
    usable = (row for row in stream.once(folder / "validation") if row["video"] is not None and row["captions"])
    rows = list(itertools.islice(usable, arguments.hold_out))
    return TrainingData(
        [],
        rows,
        f"best R@1 on the first {len(rows)} rows of the {arguments.train_split} split, held out of it",
        f"held out of {arguments.train_split}",
        stream,
        folder,
    )


def _open_stream(arguments: TrainingArguments, split: str, directory: str | None) -> RowStream:
    if not is_opened(arguments.dataset) or (directory is not None and arguments.dataset != VIDEOFOLDER):
        raise ValueError(
            f"streaming takes a data set that holds its videos, without data_dir: {NAMES_IN_WORDS}; dataset is "
            f"{arguments.dataset!r}."
        )
    return RowStream(
        arguments.dataset,
        split=split,
        config=arguments.protocol,
        data_dir=directory,
        caption_column=arguments.caption_column,
        seed=arguments.seed,
    )


def _prepared(builder: DatasetBuilder, split: str) -> Rows:
    builder.download_and_prepare()
    rows: Rows = builder.as_dataset(split=split)
    return rows


def _select(rows: Rows, indices: Sequence[int]) -> Rows:
    selected: Rows = rows.select(indices) if hasattr(rows, "select") else [rows[index] for index in indices]
    return selected


__all__ = ["Rows", "TrainingData", "load_rows", "load_training_data"]
