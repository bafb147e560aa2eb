"""The columns of an index's table, and what its schema says of the vectors in it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import FACT_FIELDS, RECORD_FIELDS, is_fact
from video_colbert.index.lance.token_codecs import Float16Codec, TokenCodec, token_codec
from video_colbert.index.metadata_columns import POOLED, TOKENS_SUFFIX, WEIGHTS_SUFFIX
from video_colbert.index.search.calibration import METHODS, Calibration
from video_colbert.index.windows import WindowSettings

SCHEMA_VERSION = 3

_PREFIX = "video_colbert."
_CALIBRATION = f"{_PREFIX}calibration"
_DIMENSION = f"{_PREFIX}dimension"
# Metadata of a column can be changed, that of the table cannot.
_NOTED_BY, _NOTES = "path", f"{_PREFIX}notes"
# Versions that are read. In 2, columns do not name their dimension: there are one or two levels of the same.
_READ_VERSIONS = ("2", str(SCHEMA_VERSION))
_LEVEL_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class IndexHeader:
    """What an index says of itself.

    Attributes:
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
        codec: how tokens are stored.
        merge_similarity: cosine from which neighbouring tokens of a video are merged before they are stored; None
            for no merging.
        windows: how long videos are cut; None for videos as a whole.
    """

    model: ModelReference
    num_frames: int | None
    codec: str
    merge_similarity: float | None = None
    windows: WindowSettings | None = None


def empty_schema(header: IndexHeader) -> pa.Schema:
    """The schema of a new index, before its vectors are known."""
    metadata = {
        "schema_version": str(SCHEMA_VERSION),
        "model": header.model.name,
        "revision": header.model.revision,
        "num_frames": json.dumps(header.num_frames),
        "codec": header.codec,
        "merge_similarity": json.dumps(header.merge_similarity),
        "windows": json.dumps(None if header.windows is None else dataclasses.asdict(header.windows)),
    }
    # The key by which Lance tells concurrent inserts of the same video, and lets one of them through.
    key = RECORD_FIELDS[0].with_metadata({"lance-schema:unenforced-primary-key:position": "1"})
    return pa.schema(
        [key, *RECORD_FIELDS[1:], *FACT_FIELDS],
        metadata={f"{_PREFIX}{name}": value for name, value in metadata.items()},
    )


def read_header(schema: pa.Schema, location: str) -> IndexHeader:
    """Reads what an index says of itself.

    Raises:
        IndexStoreError: the table is no index, one of another schema version, or its header or columns are not those
            of an index.
    """
    values = {
        key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()
    }
    version = values.get(f"{_PREFIX}schema_version")
    if version is None:
        raise IndexStoreError(f"the Lance table in {location} is no index of video-colbert")
    if version not in _READ_VERSIONS:
        raise IndexStoreError(
            f"the index in {location} has schema version {version}, this release reads "
            f"{' and '.join(_READ_VERSIONS)}; index the videos again"
        )
    try:
        windows = json.loads(values.get(f"{_PREFIX}windows", "null"))
        header = IndexHeader(
            model=ModelReference(values[f"{_PREFIX}model"], values[f"{_PREFIX}revision"]),
            num_frames=_whole_number(json.loads(values[f"{_PREFIX}num_frames"])),
            codec=token_codec(values[f"{_PREFIX}codec"]).name,
            merge_similarity=_similarity(json.loads(values[f"{_PREFIX}merge_similarity"])),
            windows=None if windows is None else WindowSettings(**windows),
        )
        _check_columns(schema, header)
    except KeyError as error:
        raise IndexStoreError(f"the index in {location} does not say its {error.args[0]}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise IndexStoreError(f"the index in {location} is no index of this release: {error}") from error
    return header


def _whole_number(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError(f"num_frames must be a whole number above 0, got {value!r}")


def _similarity(value: object) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0.0 < value <= 1.0):
        return value
    raise ValueError(f"merge_similarity must be above 0 and at most 1, got {value!r}")


def _check_columns(schema: pa.Schema, header: IndexHeader) -> None:
    """Checks that the columns are there with the types that the header says.

    Raises:
        ValueError: one is missing or of another type.
    """
    facts = {column.name: column.type for column in FACT_FIELDS}
    expected = {column.name: column.type for column in RECORD_FIELDS}
    expected |= {column.name: facts.get(column.name) for column in schema if is_fact(column)}
    try:
        dimensions = read_dimensions(schema)
    except (KeyError, AttributeError, ZeroDivisionError) as error:
        raise ValueError("its token columns do not say their dimension") from error
    if dimensions:
        vectors = vector_fields(dimensions, token_codec(header.codec), read_weighted_levels(schema))
        expected |= {column.name: column.type for column in vectors}
    for name, kind in expected.items():
        if schema.names.count(name) != 1:
            raise ValueError(f"it has no column {name}")
        if schema.field(name).type != kind:
            raise ValueError(f"its column {name} holds {schema.field(name).type} and not {kind}")


def read_dimensions(schema: pa.Schema) -> dict[str, int]:
    """Numbers of a token by level, in the order of the columns; empty before the first video."""
    columns = {
        column.name.removesuffix(TOKENS_SUFFIX): column
        for column in schema
        if column.name.endswith(TOKENS_SUFFIX) and pa.types.is_list(column.type)
    }
    return {
        level: int(stored)
        if (stored := (column.metadata or {}).get(_DIMENSION.encode())) is not None
        # The pooled vectors hold one of each level.
        else schema.field(POOLED).type.list_size // len(columns)
        for level, column in columns.items()
    }


def read_weighted_levels(schema: pa.Schema) -> tuple[str, ...]:
    """The levels whose tokens have weights."""
    return tuple(
        column.name.removesuffix(WEIGHTS_SUFFIX)
        for column in schema
        if column.name.endswith(WEIGHTS_SUFFIX) and pa.types.is_list(column.type)
    )


def weights_column(level: str) -> str:
    """The name of the column that holds the weights of a level's tokens."""
    return f"{level}{WEIGHTS_SUFFIX}"


def tokens_column(level: str) -> str:
    """The name of the column that holds a level's tokens."""
    return f"{level}{TOKENS_SUFFIX}"


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
    # One of another release is measured again.
    try:
        found = json.loads(stored)
        known = {field.name: type(found[field.name]).__name__ for field in dataclasses.fields(Calibration)}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    fits = set(found) == set(known) and found["method"] in METHODS
    types = {field.name: field.type for field in dataclasses.fields(Calibration)}
    return Calibration(**found) if fits and known == types else None


def notes_metadata(notes: IndexNotes) -> tuple[str, dict[str, str]]:
    """The column that keeps the notes, and what it says of them."""
    return _NOTED_BY, {_NOTES: notes.to_text()}


def read_notes(schema: pa.Schema) -> IndexNotes:
    """What an index notes of what was indexed into it."""
    stored = (schema.field(_NOTED_BY).metadata or {}).get(_NOTES.encode(), b"")
    return IndexNotes.from_text(stored.decode(errors="replace"))


def vector_fields(
    dimensions: Mapping[str, int], codec: TokenCodec, weighted_levels: Collection[str] = ()
) -> list[pa.Field]:
    """The columns of the vectors.

    Args:
        dimensions: numbers of a token by level.
        codec: how tokens are stored.
        weighted_levels: those whose tokens have weights.

    Raises:
        IndexStoreError: a level's name is not made of lower-case letters, digits and _.
    """
    for level in dimensions:
        if not _LEVEL_NAME.fullmatch(level):
            raise IndexStoreError(f"a level cannot be named {level!r}; use lower-case letters, digits and _")
    tokens = [
        pa.field(tokens_column(level), pa.list_(token_type(codec, size))).with_metadata({_DIMENSION: str(size)})
        for level, size in dimensions.items()
    ]
    # In 32 bits: a factor is about 1, where float16 has three decimals.
    weights = [pa.field(weights_column(level), pa.list_(pa.float32())) for level in weighted_levels]
    return [*tokens, *weights, pa.field(POOLED, pa.list_(pa.float16(), sum(dimensions.values())))]


def token_type(codec: TokenCodec, dimension: int) -> pa.DataType:
    """The type of one stored token: numbers where they are float16, which other tools can read, else bytes."""
    if isinstance(codec, Float16Codec):
        return pa.list_(pa.float16(), dimension)
    return pa.list_(pa.uint8(), codec.bytes_per_token(dimension))
