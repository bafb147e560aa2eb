"""What an index knows of one video, and the same as a row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from video_colbert.encoding.display import format_seconds, short_name

MetadataValue = str | int | float | bool
"""What a metadata column may hold."""

RECORD_FIELDS = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("digest", pa.string(), nullable=False),
    pa.field("start", pa.float64()),
    pa.field("end", pa.float64()),
    pa.field("duration", pa.float64(), nullable=False),
    pa.field("timestamps", pa.list_(pa.float64()), nullable=False),
)
"""The columns of every index that describe a video; further columns are metadata."""

COPIES_FIELD = pa.field("copies", pa.list_(pa.string()))
"""A column that an index has from the first content on that was found in several files."""

_RECORD_NAMES = frozenset(column.name for column in (*RECORD_FIELDS, COPIES_FIELD))


@dataclass(frozen=True, repr=False)
class IndexedVideo:
    """What an index knows of one video, or of one window of a video; shown as a line.

    Attributes:
        path: absolute path of the file, or its URL.
        digest: SHA-256 of the file's bytes, in hexadecimal.
        duration: of the whole video, in seconds.
        timestamps: when each encoded frame appears, in seconds.
        start: start of the window in seconds, or None.
        end: end of the window in seconds, or None.
        metadata: further values by column name, which a search can filter by.
        copies: other files that had the same content when they were last read.
    """

    path: str
    digest: str
    duration: float
    timestamps: tuple[float, ...]
    start: float | None = None
    end: float | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict, hash=False)
    copies: tuple[str, ...] = ()

    def __repr__(self) -> str:
        window = (
            f"{format_seconds(self.start or 0.0)}-{format_seconds(self.duration if self.end is None else self.end)}"
        )
        metadata = "".join(f" {name}={value!r}" for name, value in self.metadata.items())
        return f"{short_name(self.path)} {window}{metadata}"

    @property
    def id(self) -> str:
        """The content's digest, with the window if there is one: equal content has equal ids."""
        if self.start is None and self.end is None:
            return self.digest
        return f"{self.digest}@{self.start or 0.0:.3f}-{'' if self.end is None else format(self.end, '.3f')}"


def record_names(schema: pa.Schema) -> list[str]:
    """The columns of an index that describe a video, without metadata."""
    return [column.name for column in (*RECORD_FIELDS, COPIES_FIELD) if column.name in schema.names]


def records_to_arrow(videos: Sequence[IndexedVideo], metadata_fields: Sequence[pa.Field]) -> pa.Table:
    """One row a video, without tokens.

    Args:
        videos: what to write.
        metadata_fields: metadata columns to make; a video that lacks a value has null there.
    """
    columns = [pa.array([getattr(video, column.name) for video in videos], column.type) for column in RECORD_FIELDS]
    columns += [
        pa.array([video.metadata.get(column.name) for video in videos], column.type) for column in metadata_fields
    ]
    return pa.table(columns, schema=pa.schema([*RECORD_FIELDS, *metadata_fields]))


def records_from_arrow(table: pa.Table) -> list[IndexedVideo]:
    """Reads rows with the columns of `RECORD_FIELDS`, and `COPIES_FIELD` if it is there; all others are metadata.

    Metadata that is null is no value.
    """
    metadata_names = [name for name in table.column_names if name not in _RECORD_NAMES]
    return [video_from_row(row, {name: row[name] for name in metadata_names}) for row in table.to_pylist()]


def video_from_row(row: Mapping[str, Any], metadata: Mapping[str, MetadataValue | None]) -> IndexedVideo:
    """The video that a stored row describes.

    Args:
        row: a value for each of `RECORD_FIELDS`, and perhaps for `COPIES_FIELD`.
        metadata: further values; None is no value.

    Raises:
        KeyError: the row lacks a column.
    """
    return IndexedVideo(
        path=row["path"],
        digest=row["digest"],
        duration=row["duration"],
        timestamps=tuple(row["timestamps"]),
        start=row["start"],
        end=row["end"],
        metadata={name: value for name, value in metadata.items() if value is not None},
        copies=tuple(row.get(COPIES_FIELD.name) or ()),
    )


def copies_to_arrow(copies: Mapping[str, Sequence[str]]) -> pa.Table:
    """One row a video with its id and `COPIES_FIELD`."""
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), COPIES_FIELD])
    return pa.table([list(copies), [list(paths) for paths in copies.values()]], schema=schema)


def metadata_to_arrow(
    values: Mapping[str, Mapping[str, MetadataValue | None]], metadata_fields: Sequence[pa.Field]
) -> pa.Table:
    """One row a video with its id and those metadata columns that any of them has; what is None is null.

    Args:
        values: by id, the value of each column.
        metadata_fields: metadata columns of the index.
    """
    named = {name for row in values.values() for name in row}
    fields = [column for column in metadata_fields if column.name in named]
    columns = [pa.array([row.get(column.name) for row in values.values()], column.type) for column in fields]
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), *fields])
    return pa.table([pa.array(values, pa.string()), *columns], schema=schema)
