"""The columns of an index's table, and what its schema says of the vectors in it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import pyarrow as pa

from video_colbert.encoding.pretrained import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import RECORD_FIELDS
from video_colbert.index.metadata_columns import VECTOR_COLUMNS
from video_colbert.index.search.candidate_calibration import Calibration

SCHEMA_VERSION = 2

FRAME_TOKENS, VIDEO_TOKENS, POOLED = VECTOR_COLUMNS

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
