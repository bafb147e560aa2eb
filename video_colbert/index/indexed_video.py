"""What an index knows of one video, and the same as a row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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

_FACT = b"video_colbert.fact"
FACT_FIELDS = tuple(
    pa.field(name, kind, metadata={_FACT: name})
    for name, kind in (
        ("size", pa.int64()),
        ("modified", pa.float64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
    )
)
"""The columns of what is known of a file beside its content, as of `FileFacts`; an index that was made before there
were any may have metadata of the same names, and then keeps that in their place."""

COPIES_FIELD = pa.field("copies", pa.list_(pa.string()))
"""A column that an index has from the first content on that was found in several files."""


@dataclass(frozen=True)
class FileFacts:
    """What is known of a video file beside its content; None where it is not known.

    Attributes:
        size: in bytes.
        modified: when it was changed last, in seconds since 1970 (UTC).
        width: of its frames in pixels, upright and with square pixels, as they are encoded.
        height: likewise.
    """

    size: int | None = None
    modified: float | None = None
    width: int | None = None
    height: int | None = None

    def updated(self, other: FileFacts) -> FileFacts:
        """The same with what another look at the file told."""
        known = {name: value for name, value in asdict(other).items() if value is not None}
        return replace(self, **known)


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
        facts: what is known of the file beside its content.
    """

    path: str
    digest: str
    duration: float
    timestamps: tuple[float, ...]
    start: float | None = None
    end: float | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict, hash=False)
    copies: tuple[str, ...] = ()
    facts: FileFacts = FileFacts()

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


def is_fact(column: pa.Field) -> bool:
    """Whether a column is one of `FACT_FIELDS`, and not metadata of the same name."""
    return _FACT in (column.metadata or {})


def is_time(column: pa.Field) -> bool:
    """Whether a column holds times, in seconds since 1970."""
    return is_fact(column) and column.name == "modified"


def record_names(schema: pa.Schema) -> list[str]:
    """The columns of an index that describe a video, without metadata."""
    names = [column.name for column in (*RECORD_FIELDS, COPIES_FIELD) if column.name in schema.names]
    return names + [column.name for column in schema if is_fact(column)]


def records_to_arrow(videos: Sequence[IndexedVideo], fields: Sequence[pa.Field]) -> pa.Table:
    """One row a video, without tokens.

    Args:
        videos: what to write.
        fields: columns to make beside `RECORD_FIELDS`, of facts and metadata; a video that lacks a value has null.
    """
    columns = [pa.array([getattr(video, column.name) for video in videos], column.type) for column in RECORD_FIELDS]
    columns += [
        pa.array(
            [
                getattr(video.facts, column.name) if is_fact(column) else video.metadata.get(column.name)
                for video in videos
            ],
            column.type,
        )
        for column in fields
    ]
    return pa.table(columns, schema=pa.schema([*RECORD_FIELDS, *fields]))


def records_from_arrow(table: pa.Table, metadata_names: Sequence[str]) -> list[IndexedVideo]:
    """Reads rows with the columns of `RECORD_FIELDS`, and `COPIES_FIELD` and `FACT_FIELDS` if they are there.

    Args:
        table: the rows.
        metadata_names: its columns of metadata; what is null there is no value.
    """
    videos = []
    for row in table.to_pylist():
        metadata = {name: row.pop(name) for name in metadata_names}
        videos.append(video_from_row(row, metadata))
    return videos


def video_from_row(row: Mapping[str, Any], metadata: Mapping[str, MetadataValue | None]) -> IndexedVideo:
    """The video that a stored row describes.

    Args:
        row: a value for each of `RECORD_FIELDS`, and perhaps for `COPIES_FIELD` and `FACT_FIELDS`.
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
        facts=FileFacts(**{column.name: row.get(column.name) for column in FACT_FIELDS}),
    )


def copies_to_arrow(copies: Mapping[str, Sequence[str]]) -> pa.Table:
    """One row a video with its id and `COPIES_FIELD`."""
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), COPIES_FIELD])
    return pa.table([list(copies), [list(paths) for paths in copies.values()]], schema=schema)


def facts_to_arrow(
    facts: Mapping[str, FileFacts], videos: Sequence[IndexedVideo], fields: Sequence[pa.Field]
) -> pa.Table:
    """One row for each video whose facts change, with its id and some of `FACT_FIELDS`.

    Args:
        facts: the new ones by id.
        videos: what is stored.
        fields: the columns that an index has, or is to have.
    """
    names = [column.name for column in fields]
    changed = {
        video.id: {name: getattr(facts[video.id], name) for name in names}
        for video in videos
        if video.id in facts and any(getattr(facts[video.id], name) != getattr(video.facts, name) for name in names)
    }
    return values_to_arrow(changed, fields)


def values_to_arrow(values: Mapping[str, Mapping[str, MetadataValue | None]], among: Sequence[pa.Field]) -> pa.Table:
    """One row a video with its id and those of some columns that any of them has a value of; what is None is null.

    Args:
        values: by id, the value of each column.
        among: columns of the index.
    """
    named = {name for row in values.values() for name in row}
    fields = [column for column in among if column.name in named]
    columns = [pa.array([row.get(column.name) for row in values.values()], column.type) for column in fields]
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), *fields])
    return pa.table([pa.array(values, pa.string()), *columns], schema=schema)
