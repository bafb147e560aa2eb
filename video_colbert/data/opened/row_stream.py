"""A split of a data set that is read as it comes, for sets larger than the disk."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from video_colbert.errors import DatasetError

from .dataset_names import open_builder, opening_errors
from .dataset_rows import Row, is_of_files, undecoded
from .row_columns import find_columns
from .row_videos import RowVideos, content_name

logger = logging.getLogger(__name__)


class RowStream:
    """Reads the rows of a split again and again; only what is asked for is kept.

    Content of rows is written to a folder of the caller's; a video that is a file of the data set stays where it is,
    and is fetched when it is decoded.

    Args:
        name: "me/set" on the Hub, "me/set@v1", "videofolder", or a folder that `datasets.load_dataset` opens.
        split: Such as "train".
        config: Its configuration, where it has several.
        data_dir: For "videofolder" the folder.
        caption_column: Column of the captions, by default "captions", "caption" or "text".
        seed: Of the order of the data set's files, which is another one each time.

    Attributes:
        identity: What it reads, in words that change with the data set's content.

    Raises:
        DatasetError: There is no such data set or split, or its columns are not understood.
    """

    def __init__(
        self,
        name: str,
        *,
        split: str,
        config: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        caption_column: str | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.seed = seed
        builder = open_builder(name, config=config, data_dir=data_dir)
        if hasattr(builder.config, "decode_num_threads"):
            # Threads of `datasets` would decode what comes from the Hub before they are told not to.
            builder.config.decode_num_threads = 0
        with opening_errors(name):
            stream = builder.as_streaming_dataset(split=split)
        if stream.features is None:
            raise DatasetError(f"the data set {name} does not say which columns it has, so it cannot be streamed")
        self.columns = find_columns(name, stream.features, caption_column)
        self._stream = undecoded(stream, self.columns.video)
        self._are_of_builder = is_of_files(builder)
        # Of configuration, version and a digest of the data set's files.
        self.identity = "/".join([*Path(builder.cache_dir).parts[-4:], split])

    def rows(self, kept: Path, *, start: int = 0, without: Collection[str] = ()) -> Iterator[Row]:
        """Yields rows to train on without end: after the last one comes the first again, files in another order.

        Rows without a video or without a caption are left out; how many is logged once all were read.

        Args:
            kept: Folder that content of rows is written to; the caller empties it.
            start: How many rows are passed over first; they are read, and nothing of them is written.
            without: Ids of videos whose rows are left out.

        Raises:
            DatasetError: No row of the split has both a video and a caption, or it cannot be read.
        """
        number = 0
        for times in itertools.count():
            found = number
            left_out = 0
            for row in self._once(kept, times, without, start - number, for_training=True):
                if row["video"] is None or not row["captions"]:
                    left_out += 1
                    continue
                number += 1
                if number > start:
                    yield row
            if number == found:
                raise DatasetError(f"the data set {self.name} has no row left with both a video and a caption")
            if left_out and not times:
                logger.warning(
                    "%d rows of the data set %s have no video or no caption and are left out.", left_out, self.name
                )

    def once(self, kept: Path) -> Iterator[Row]:
        """Yields the rows once, as `load_dataset_rows` has them: also those without a video or without captions.

        Args:
            kept: As for `rows`.

        Raises:
            DatasetError: The split cannot be read.
        """
        return self._once(kept, 0, (), 0, for_training=False)

    def _once(
        self, kept: Path, times: int, without: Collection[str], unwritten: int, *, for_training: bool
    ) -> Iterator[Row]:
        """The rows once; no content is written of the first `unwritten` ones, and of those that none trains on."""
        videos = RowVideos(self.name, kept, are_of_builder=self._are_of_builder)
        stream = self._stream
        if times:
            # The order of files alone, which one after the other are read.
            stream = stream.shuffle(seed=self.seed + times, buffer_size=1, max_buffer_input_shards=1)
        number = 0
        for place, values in enumerate(self._read(stream)):
            held = values[self.columns.video]
            name = content_name(held) if held else f"row {place}"
            video_id = str(values["video_id"]) if self.columns.has_ids else name
            if video_id in without:
                continue
            is_used = bool(held and self.columns.texts(values))
            is_written = not for_training or (is_used and number >= unwritten)
            video = videos.find(held) if is_written or not held else {"path": None, "bytes": None}
            number += is_used
            yield self.columns.row(values, video, video_id)

    def _read(self, stream: Any) -> Iterator[dict[str, Any]]:
        with opening_errors(self.name):
            yield from stream


class RowWindows:
    """Windows of a stream, one of which is on this machine at a time.

    Args:
        stream: What is read.
        size: Rows of a window.
        folder: Where content of the rows is kept; the window before is removed.
        without: Ids of videos whose rows are left out.
    """

    def __init__(self, stream: RowStream, size: int, folder: Path, *, without: Collection[str] = ()) -> None:
        self.stream = stream
        self.size = size
        self.folder = folder
        self.without = without
        self._next = 0
        self._rows: Iterator[Row] | None = None

    def window(self, number: int) -> list[Row]:
        """The rows of a window; of one that is not the next, the stream is read from its beginning.

        Args:
            number: From 0 on; rows that are read a second time are in windows of their own.

        Raises:
            DatasetError: As for `RowStream.rows`.
            OSError: Content cannot be written.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._rows is None or number != self._next:
            self._rows = self.stream.rows(self.folder, start=number * self.size, without=self.without)
        self._next = number + 1
        return list(itertools.islice(self._rows, self.size))


__all__ = ["RowStream", "RowWindows"]
