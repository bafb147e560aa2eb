"""Rows of a data set by its name: a benchmark under a protocol, one of the Hub, any folder, or moving shapes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from video_colbert.data.opened.row_stream import RowStream
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
        stream: what the rows are read of as they are encoded; None where they are in `rows`.
    """

    dataset: str
    split: str
    rows: Sequence[Row]
    protocol: str | None = None
    differences: Sequence[str] = ()
    stream: RowStream | None = None


def load_rows(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    video_dir: str | os.PathLike[str] | None = None,
    protocol: str | None = None,
    split: str = "test",
    allow_missing: bool = False,
    caption_column: str | None = None,
    streaming: bool = False,
) -> DatasetRows:
    """Reads the rows of a split.

    Args:
        dataset: one of `PROTOCOLS`, such as "msrvtt"; "video_folder" or "moving_shapes"; "me/set" of the Hub,
            "videofolder", or a folder that `datasets.load_dataset` opens.
        data_dir: folder with the annotation files, unchanged, and the videos at any depth.
        video_dir: folder of the videos, where it is another one.
        protocol: protocol of a benchmark, by default its first; or the configuration of a data set of the Hub.
        split: name of the split.
        allow_missing: whether to keep the rows of videos whose files are missing.
        caption_column: column of a Hub data set's captions, by default "captions", "caption" or "text".
        streaming: whether a data set of the Hub is read as it is encoded, for one larger than the disk.

    Raises:
        ValueError: there is no such data set, protocol or split, an argument is missing or not taken by the data
            set, or a folder has no captions.
        DatasetError: a data set of the Hub cannot be opened, or its columns are not understood.
        OSError: a file is missing or cannot be read.
        ModuleNotFoundError: the `train` extra is not installed.
    """
    from video_colbert.data.opened.dataset_names import NAMES_IN_WORDS, is_opened, shown_name
    from video_colbert.data.opened.dataset_rows import load_dataset_rows
    from video_colbert.dataset_builders import MovingShapes, VideoFolder, check_protocol, load_benchmark
    from video_colbert.dataset_builders.protocols import PROTOCOLS, default_protocol
    from video_colbert.dataset_builders.video_folder import CAPTION_FILES

    folder = None if data_dir is None else Path(data_dir)
    is_named = dataset in (*PROTOCOLS, VIDEO_FOLDER, MOVING_SHAPES)
    for flag, is_given in (("caption-column", caption_column is not None), ("streaming", streaming)):
        if is_given and is_named:
            raise ValueError(f"{dataset} takes no --{flag} ({flag.replace('-', '_')} in Python); leave it out")
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
    if not is_named:
        if not is_opened(dataset):
            names = ", ".join([*PROTOCOLS, VIDEO_FOLDER, MOVING_SHAPES])
            raise ValueError(f"there is no data set {dataset!r}; there are {names}, and {NAMES_IN_WORDS}")
        if streaming:
            return _streamed_rows(dataset, video_dir or data_dir, split, protocol, caption_column)
        opened = load_dataset_rows(
            dataset,
            split=split,
            config=protocol,
            data_dir=video_dir or data_dir,
            caption_column=caption_column,
            allow_missing=allow_missing,
        )
        if not any(row["captions"] for row in opened):
            raise ValueError(
                f"there is nothing to evaluate: the {split} split of {dataset} has {len(opened)} videos and no "
                "captions; say which column holds them with --caption-column (caption_column in Python)"
            )
        return DatasetRows(shown_name(dataset), split, opened, protocol)
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


def _streamed_rows(
    dataset: str,
    data_dir: str | os.PathLike[str] | None,
    split: str,
    config: str | None,
    caption_column: str | None,
) -> DatasetRows:
    from video_colbert.data.opened.dataset_names import VIDEOFOLDER, shown_name
    from video_colbert.data.opened.row_stream import RowStream

    if data_dir is not None and dataset != VIDEOFOLDER:
        raise ValueError("--streaming takes no folder of videos, for the data set must hold them; leave it out")
    stream = RowStream(dataset, split=split, config=config, data_dir=data_dir, caption_column=caption_column)
    if stream.columns.captions is None:
        raise ValueError(
            f"there is nothing to evaluate: no column of {dataset} is named as captions are; say which column holds "
            "them with --caption-column (caption_column in Python)"
        )
    return DatasetRows(shown_name(dataset), split, [], config, stream=stream)
