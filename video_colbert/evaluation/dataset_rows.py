"""Rows of a data set by its name: a benchmark under a protocol, any folder of videos, or moving shapes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from video_colbert.evaluation.encoded_split import Row

VIDEO_FOLDER = "video_folder"
"""Name of the data set that any folder of videos is."""

MOVING_SHAPES = "moving_shapes"
"""Name of the data set that is made on the spot."""


@dataclass(frozen=True)
class DatasetRows:
    """One split of a data set.

    Attributes:
        dataset: its name.
        split: name of the split.
        rows: `video_id`, `video`, `captions`, `start` and `end` of each video.
        protocol: name of the protocol; None for a data set without protocols.
        differences: in what the split is not the one that published figures are of.
    """

    dataset: str
    split: str
    rows: Sequence[Row]
    protocol: str | None = None
    differences: Sequence[str] = ()


def load_rows(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    video_dir: str | os.PathLike[str] | None = None,
    protocol: str | None = None,
    split: str = "test",
    allow_missing: bool = False,
) -> DatasetRows:
    """Reads the rows of a split.

    Args:
        dataset: one of `PROTOCOLS`, such as "msrvtt"; "video_folder" or "moving_shapes".
        data_dir: folder with the annotation files, unchanged, and the videos at any depth.
        video_dir: folder of a benchmark's videos, where it is another one.
        protocol: protocol of a benchmark; by default its first.
        split: name of the split.
        allow_missing: whether to keep the rows of videos whose files are missing.

    Raises:
        ValueError: there is no such data set, protocol or split, an argument is missing or not taken by the data
            set, or a folder has no captions.
        OSError: a file is missing or cannot be read.
        ModuleNotFoundError: the `train` extra is not installed.
    """
    from video_colbert.dataset_builders import MovingShapes, VideoFolder, check_protocol, load_benchmark
    from video_colbert.dataset_builders.protocols import PROTOCOLS, default_protocol
    from video_colbert.dataset_builders.video_folder import CAPTION_FILES

    folder = None if data_dir is None else Path(data_dir)
    if dataset in PROTOCOLS:
        if folder is None:
            raise ValueError(
                f"{dataset} needs --data-dir (data_dir in Python), the folder with its annotation files and videos"
            )
        protocol = protocol or default_protocol(dataset)
        found = list(
            load_benchmark(
                dataset,
                protocol=protocol,
                split=split,
                data_dir=folder,
                video_dir=None if video_dir is None else Path(video_dir),
                allow_missing=allow_missing,
                streaming=True,
            )
        )
        check = check_protocol(found, dataset, protocol, split)
        return DatasetRows(dataset, split, found, protocol, check.differences)
    if dataset not in (VIDEO_FOLDER, MOVING_SHAPES):
        raise ValueError(
            f"there is no data set {dataset!r}; there are {', '.join([*PROTOCOLS, VIDEO_FOLDER, MOVING_SHAPES])}"
        )
    for name, value in (("protocol", protocol), ("video_dir", video_dir)):
        if value is not None:
            flag = name.replace("_", "-")
            raise ValueError(f"{dataset} takes no --{flag} ({name} in Python); leave it out")
    if dataset == MOVING_SHAPES:
        if folder is not None:
            raise ValueError(
                f"{MOVING_SHAPES} takes no --data-dir (data_dir in Python), for it is made on the spot; clips "
                f"that are written already are a {VIDEO_FOLDER}"
            )
        return DatasetRows(dataset, split, list(MovingShapes().as_streaming_dataset(split=split)))
    if folder is None:
        raise ValueError(
            f"{VIDEO_FOLDER} needs --data-dir (data_dir in Python), the folder with the videos and their captions"
        )
    builder = VideoFolder(data_dir=str(folder), split=split, allow_missing=allow_missing)
    rows = list(builder.as_streaming_dataset(split=split))
    if not any(row["captions"] for row in rows):
        raise ValueError(
            f"there is nothing to evaluate: {folder} has {len(rows)} videos but no captions; put a "
            f"{' or '.join(CAPTION_FILES)} with the columns video and caption beside them"
        )
    return DatasetRows(dataset, split, rows)
