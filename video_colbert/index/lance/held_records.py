"""Records of many videos as a reader holds them: what is alike is held once, and times of frames are compressed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from video_colbert.index.indexed_video import IndexedVideo, records_from_arrow

_TIMES = "timestamps"
_BITS = 64
# Videos whose times are compressed together: a few are read to get at one.
_VIDEOS_A_BLOCK = 256


class HeldRecords:
    """Records of N videos.

    Args:
        records: rows with the columns of `RECORD_FIELDS`, and others.
        metadata_names: its columns of metadata.

    Attributes:
        columns: those without the times of frames, of which only found videos' are wanted.
    """

    def __init__(self, records: pa.Table, metadata_names: Sequence[str]) -> None:
        self.columns = _sharing(records.drop_columns([_TIMES]))
        self._times = _CompressedTimes(records[_TIMES])
        self._metadata_names = metadata_names

    def at(self, rows: npt.NDArray[np.int64]) -> list[IndexedVideo]:
        """The videos of some rows, in their order."""
        found = self.columns.take(pa.array(rows)).append_column(_TIMES, self._times.at(rows))
        return records_from_arrow(found, self._metadata_names)


def _sharing(records: pa.Table) -> pa.Table:
    """The same columns, of which those that are equal share their memory.

    An id is its content's digest unless there are windows, whose bounds are unknown otherwise.
    """
    # A few rows are taken from few pieces much faster than from many.
    records = records.combine_chunks()
    unknown = pa.nulls(len(records), pa.int64())
    columns = []
    for field, column in zip(records.schema, records.columns, strict=True):
        if field.name == "id" and column.equals(records["digest"]):
            columns.append(records["digest"])
        elif column.null_count == len(records) and pa.types.is_primitive(field.type) and field.type.bit_width == _BITS:
            columns.append(unknown.view(field.type))
        else:
            columns.append(column)
    return pa.table(columns, schema=records.schema)


class _CompressedTimes:
    """A column of lists of times. Videos of one frame rate have many times in common, which compress well."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._codec = pa.Codec("zstd", compression_level=1)
        lengths = [chunk.value_lengths().to_numpy() for chunk in column.chunks]
        self._lengths: npt.NDArray[np.int32] = np.concatenate([np.zeros(0, np.int32), *lengths])
        self._blocks: list[bytes] = []
        for first in range(0, len(column), _VIDEOS_A_BLOCK):
            times = self._joined(column.slice(first, _VIDEOS_A_BLOCK))
            self._blocks.append(self._codec.compress(times.tobytes(), asbytes=True))

    def at(self, rows: npt.NDArray[np.int64]) -> pa.ListArray:
        """The lists of some rows, in their order."""
        blocks, places = (part.tolist() for part in np.divmod(rows, _VIDEOS_A_BLOCK))
        read = {block: self._read(block) for block in set(blocks)}
        lists = [np.zeros(0)]
        for block, place in zip(blocks, places, strict=True):
            times, offsets = read[block]
            lists.append(times[offsets[place] : offsets[place + 1]])
        ends = np.cumsum([len(times) for times in lists], dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(lists)))

    def _read(self, block: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The times of a block's videos, and where each one's begin and the last one's end."""
        lengths = self._lengths[block * _VIDEOS_A_BLOCK : (block + 1) * _VIDEOS_A_BLOCK]
        offsets = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
        size = int(offsets[-1]) * np.dtype(np.float64).itemsize
        content = self._codec.decompress(self._blocks[block], size, asbytes=True)
        return np.frombuffer(content, np.float64), offsets

    @staticmethod
    def _joined(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
        # `flatten` minds the offset of a sliced array.
        parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
        return np.concatenate([np.zeros(0), *parts])
