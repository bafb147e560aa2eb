"""A split of a data set of the Hub, or of a folder, as rows of videos with their captions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from video_colbert.dataset_builders.video_files import MissingVideosError
from video_colbert.errors import DatasetError

from .dataset_names import open_builder, opening_errors
from .row_columns import RowColumns, find_columns
from .row_videos import RowVideos

Row = dict[str, Any]


def load_dataset_rows(
    name: str,
    *,
    split: str,
    config: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    caption_column: str | None = None,
    allow_missing: bool = False,
) -> list[Row]:
    """Loads a split, and keeps its videos in the cache of `datasets`, as files.

    A row's video is that of the feature `Video`, whose content it holds or which is a file of the data set; or it
    is a file of `data_dir`, as in what `publish-dataset` made without `--include-videos`.

    Args:
        name: "me/set" on the Hub, "me/set@v1", "videofolder", or a folder that `datasets.load_dataset` opens.
        split: Such as "train" or "test".
        config: Its configuration, where it has several.
        data_dir: For "videofolder" the folder; else that of the videos which rows name and do not hold.
        caption_column: Column of the captions, by default "captions", "caption" or "text"; a text or a list of them.
        allow_missing: Whether rows whose video is missing stay, with a null `video`.

    Returns:
        Rows with `video_id`, `video`, `captions`, `start` and `end`, and the data set's further columns. Without a
        column `video_id`, rows about one video, or one part of it, are one row.

    Raises:
        DatasetError: There is no such data set or split, or its columns are not understood.
        MissingVideosError: Videos are missing and `allow_missing` is not set.
        OSError: A video cannot be written to the cache.
    """
    builder = open_builder(name, config=config, data_dir=data_dir)
    with opening_errors(name):
        builder.download_and_prepare()
        dataset = builder.as_dataset(split=split)
    columns = find_columns(name, dataset.features, caption_column)
    videos = RowVideos(
        name,
        Path(builder.cache_dir) / f"{split}_videos",
        are_of_builder=is_of_files(builder),
        video_dir=data_dir,
    )
    rows = make_rows(undecoded(dataset, columns.video), columns, videos)
    if videos.missing and not allow_missing and videos.video_dir is not None:
        raise MissingVideosError(list(videos.missing), len(rows), videos.video_dir)
    return rows


def is_of_files(builder: Any) -> bool:
    """Whether a data set's rows hold paths of its own files, which its builder made and checked.

    Args:
        builder: What opened it.
    """
    from datasets.packaged_modules.folder_based_builder.folder_based_builder import FolderBasedBuilder

    return isinstance(builder, FolderBasedBuilder)


def undecoded(dataset: Any, column: str) -> Any:
    """A data set, whole or streamed, whose videos come as path and bytes, for our reader to decode.

    Args:
        dataset: Of `datasets`.
        column: Of the videos.
    """
    from datasets import Video

    is_video = isinstance(dataset.features[column], Video)
    return dataset.cast_column(column, Video(decode=False)) if is_video else dataset


def make_rows(found: Iterable[Mapping[str, Any]], columns: RowColumns, videos: RowVideos) -> list[Row]:
    """Makes rows of a data set's.

    Args:
        found: Rows as the data set has them, videos undecoded.
        columns: What its columns hold.
        videos: Finds their videos.

    Raises:
        DatasetError: Two rows have the same `video_id`, or a video is none of the data set's.
    """
    rows: dict[object, Row] = {}
    for number, values in enumerate(found):
        held = values[columns.video]
        path = held if isinstance(held, str) else (held or {}).get("path")
        video = videos.find(held)
        row = columns.row(values, video, str(values["video_id"] if columns.has_ids else path or f"row {number}"))
        if columns.has_ids:
            if row["video_id"] in rows:
                raise DatasetError(f"the data set {videos.name} has two rows with the video_id {row['video_id']!r}")
            rows[row["video_id"]] = row
            continue
        key = number if video is None else (video["path"], row["start"], row["end"])
        if key in rows:
            rows[key]["captions"].extend(row["captions"])
        else:
            rows[key] = row
    made = list(rows.values())
    if not columns.has_ids:
        _set_ids(made)
    return made


def _set_ids(rows: Sequence[Row]) -> None:
    """Makes ids of paths: below the folder that all are in, with the part that a row is about, each one once."""
    paths = [PurePosixPath(row["video_id"]) for row in rows]
    is_below_one = bool(paths) and all(path.is_absolute() for path in paths)
    root = os.path.commonpath([path.parent for path in paths]) if is_below_one else ""
    for row, path in zip(rows, paths, strict=True):
        window = "" if row["start"] is None and row["end"] is None else f"#t={row['start'] or 0.0}"
        if row["end"] is not None:
            window += f",{row['end']}"
        row["video_id"] = (path.relative_to(root).as_posix() if root else str(path)) + window
    counts = Counter(row["video_id"] for row in rows)
    for number, row in enumerate(rows):
        if counts[row["video_id"]] > 1:
            row["video_id"] += f" (row {number})"


__all__ = ["is_of_files", "load_dataset_rows", "make_rows", "undecoded"]
