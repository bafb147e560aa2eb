"""The columns of an index's table, and what its schema says of the vectors in it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from video_colbert.encoding.pretrained import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import RECORD_FIELDS, MetadataValue
from video_colbert.index.search.candidate_calibration import Calibration

SCHEMA_VERSION = 2

FRAME_TOKENS = "frame_tokens"
VIDEO_TOKENS = "video_tokens"
POOLED = "pooled"

_VECTOR_COLUMNS = (FRAME_TOKENS, VIDEO_TOKENS, POOLED)
_OWN_COLUMNS = frozenset((*(column.name for column in RECORD_FIELDS), *_VECTOR_COLUMNS))
_KEYWORDS = frozenset(("and", "or", "not", "in", "is", "null", "true", "false"))
_METADATA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METADATA_TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}
_PREFIX = "video_colbert."
_CALIBRATION = f"{_PREFIX}calibration"


@dataclass(frozen=True)
class IndexHeader:
    """What an index says of itself.

    Attributes:
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
        codec: how tokens are stored.
        merge_similarity: cosine from which neighbouring tokens of a video are merged before they are stored; None
            for no merging.
    """

    model: ModelReference
    num_frames: int | None
    codec: str
    merge_similarity: float | None = None


@dataclass(frozen=True)
class VectorLayout:
    """The vectors of an index, known from the first video on.

    Attributes:
        dimension: of a token.
        has_video_level: whether there are video tokens beside the frame tokens.
    """

    dimension: int
    has_video_level: bool

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels, in the order of the columns."""
        return ("frame", "video") if self.has_video_level else ("frame",)

    def __str__(self) -> str:
        levels = "frame and video level" if self.has_video_level else "frame level only"
        return f"{self.dimension} dimensions, {levels}"


def empty_schema(header: IndexHeader) -> pa.Schema:
    """The schema of a new index, before its vectors are known."""
    metadata = {
        "schema_version": str(SCHEMA_VERSION),
        "model": header.model.name,
        "revision": header.model.revision,
        "num_frames": json.dumps(header.num_frames),
        "codec": header.codec,
        "merge_similarity": json.dumps(header.merge_similarity),
    }
    # The key by which Lance tells concurrent inserts of the same video, and lets one of them through.
    key = RECORD_FIELDS[0].with_metadata({"lance-schema:unenforced-primary-key:position": "1"})
    return pa.schema(
        [key, *RECORD_FIELDS[1:]], metadata={f"{_PREFIX}{name}": value for name, value in metadata.items()}
    )


def read_header(schema: pa.Schema, location: str) -> IndexHeader:
    """Reads what an index says of itself.

    Raises:
        IndexStoreError: the table is no index, or one of another schema version.
    """
    values = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    version = values.get(f"{_PREFIX}schema_version")
    if version is None:
        raise IndexStoreError(f"the Lance table in {location} is no index of video-colbert")
    if version != str(SCHEMA_VERSION):
        raise IndexStoreError(
            f"the index in {location} has schema version {version}, this release reads {SCHEMA_VERSION}; index the "
            "videos again"
        )
    return IndexHeader(
        model=ModelReference(values[f"{_PREFIX}model"], values[f"{_PREFIX}revision"]),
        num_frames=json.loads(values[f"{_PREFIX}num_frames"]),
        codec=values[f"{_PREFIX}codec"],
        merge_similarity=json.loads(values[f"{_PREFIX}merge_similarity"]),
    )


def read_layout(schema: pa.Schema) -> VectorLayout | None:
    """The layout of the vectors; None before the first video."""
    if POOLED not in schema.names:
        return None
    has_video_level = VIDEO_TOKENS in schema.names
    return VectorLayout(schema.field(POOLED).type.list_size // (1 + has_video_level), has_video_level)


def calibration_metadata(calibration: Calibration) -> dict[str, str]:
    """What the field `POOLED` says of a calibration."""
    return {_CALIBRATION: json.dumps(dataclasses.asdict(calibration))}


def read_calibration(schema: pa.Schema) -> Calibration | None:
    """The calibration that an index stores; None where there is none."""
    if POOLED not in schema.names:
        return None
    values = schema.field(POOLED).metadata or {}
    stored = values.get(_CALIBRATION.encode())
    if stored is None:
        return None
    of_release = {field.name for field in dataclasses.fields(Calibration)}
    # One of another release is measured again.
    return Calibration(**found) if set(found := json.loads(stored)) == of_release else None


def vector_fields(layout: VectorLayout, token_type: pa.DataType) -> list[pa.Field]:
    """The columns of a layout's vectors.

    Args:
        layout: dimension and levels.
        token_type: the type of one stored token, which is the codec's.
    """
    names = [FRAME_TOKENS, VIDEO_TOKENS] if layout.has_video_level else [FRAME_TOKENS]
    pooled = pa.list_(pa.float16(), layout.dimension * len(names))
    return [*(pa.field(name, pa.list_(token_type)) for name in names), pa.field(POOLED, pooled)]


def metadata_fields(schema: pa.Schema) -> list[pa.Field]:
    """The metadata columns of an index."""
    return [column for column in schema if column.name not in _OWN_COLUMNS]


def filter_fields(schema: pa.Schema) -> list[pa.Field]:
    """The columns that a search can filter by: metadata, and what is known of every video."""
    lists = (*_VECTOR_COLUMNS, "timestamps")
    return [column for column in schema if column.name not in lists]


def new_metadata_fields(schema: pa.Schema, values: Iterable[Mapping[str, MetadataValue]]) -> list[pa.Field]:
    """The metadata columns that these values need and an index does not have yet.

    A column of numbers takes whole numbers too; one of whole numbers, which it is if all its first values are, takes
    no others.

    Args:
        schema: of the index.
        values: metadata of the videos to add.

    Raises:
        IndexStoreError: a name is no identifier or is taken, or a value's type is not that of its column.
    """
    known = {column.name: column.type for column in schema}
    types: dict[str, list[pa.DataType]] = {}
    new = []
    for name, value in (item for row in values for item in row.items()):
        if not _METADATA_NAME.fullmatch(name) or name.lower() in _KEYWORDS:
            words = ", ".join(sorted(_KEYWORDS))
            raise IndexStoreError(f"metadata cannot be named {name!r}; use letters, digits and _, and not {words}")
        if name in _OWN_COLUMNS:
            raise IndexStoreError(f"metadata cannot be named {name!r}, which is a column of every index")
        if type(value) not in _METADATA_TYPES:
            raise IndexStoreError(
                f"metadata {name!r} must be text, a number, or true or false, got {value!r} ({type(value).__name__})"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise IndexStoreError(f"metadata {name!r} is too large a number for an index: {value}")
        found = types.setdefault(name, [])
        if (kind := _METADATA_TYPES[type(value)]) not in found:
            found.append(kind)
    for name, found in types.items():
        # Lance turns no column of whole numbers into one of numbers later; the other way round nothing is lost.
        if known.get(name) == pa.float64() and set(found) <= {pa.int64(), pa.float64()}:
            continue
        kinds = set(found) | ({known[name]} if name in known else set())
        if len(kinds) > 1 and (name in known or kinds != {pa.int64(), pa.float64()}):
            raise IndexStoreError(
                f"metadata {name!r} must be of one type in all videos of an index, got "
                f"{' and '.join(sorted(map(_type_name, kinds)))}"
            )
        if name not in known:
            new.append(pa.field(name, kinds.pop() if len(kinds) == 1 else pa.float64()))
    return new


def _type_name(kind: pa.DataType) -> str:
    return {pa.bool_(): "true or false", pa.int64(): "whole numbers", pa.float64(): "numbers"}.get(kind, "text")
