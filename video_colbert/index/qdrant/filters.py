"""Conditions on videos in Qdrant's own terms, and the columns that they may ask for.

Qdrant's `must_not` is true of a video without a value, SQL's `!=` and `not in` are not: those say here, in addition,
that there is a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from qdrant_client import QdrantClient, models

from video_colbert.errors import FilterError
from video_colbert.index.filters import AllOf, AnyOf, Comparison, Filter, FilterValue, Membership, NullCheck, Operator
from video_colbert.index.indexed_video import RECORD_FIELDS
from video_colbert.index.qdrant.location import QdrantLocation

METADATA = "metadata"
"""Name of the part of a point's payload that holds a video's metadata."""

_COLUMN_PREFIX = "column:"
_TYPES = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
_INDEXES = {
    "string": models.PayloadSchemaType.KEYWORD,
    "int64": models.PayloadSchemaType.INTEGER,
    "double": models.PayloadSchemaType.FLOAT,
    "bool": models.PayloadSchemaType.BOOL,
}
_RECORD_NAMES = frozenset(column.name for column in RECORD_FIELDS)


def read_columns(client: QdrantClient, location: QdrantLocation) -> pa.Schema:
    """What is known of each video of a collection: the columns of every index, and its metadata."""
    metadata = client.get_collection(location.collection).config.metadata or {}
    columns = [
        pa.field(name.removeprefix(_COLUMN_PREFIX), _TYPES[kind])
        for name, kind in metadata.items()
        if name.startswith(_COLUMN_PREFIX)
    ]
    return pa.schema([*RECORD_FIELDS, *columns])


def add_columns(client: QdrantClient, location: QdrantLocation, columns: Sequence[pa.Field]) -> None:
    """Records new metadata columns and has the server index their values; repeating it changes nothing."""
    kinds = {column.name: str(column.type) for column in columns}
    for name, kind in kinds.items():
        client.create_payload_index(location.collection, metadata_key(name), _INDEXES[kind])
    if kinds:
        recorded = {f"{_COLUMN_PREFIX}{name}": kind for name, kind in kinds.items()}
        client.update_collection(location.collection, metadata=recorded)


def metadata_key(column: str) -> str:
    """Where a payload holds a metadata column; in quotes, a name may have spaces and signs."""
    return f'{METADATA}."{column}"'


def to_qdrant_filter(condition: Filter) -> models.Filter:
    """The condition as Qdrant's filter; `resolve_filter` it first, which lets only known columns and their types pass.

    Raises:
        FilterError: it asks for an order of texts, which Qdrant does not have.
    """
    if isinstance(condition, AllOf):
        return models.Filter(must=[to_qdrant_filter(part) for part in condition.parts])
    if isinstance(condition, AnyOf):
        return models.Filter(should=[to_qdrant_filter(part) for part in condition.parts])
    key = condition.column if condition.column in _RECORD_NAMES else metadata_key(condition.column)
    is_empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
    if isinstance(condition, NullCheck):
        return models.Filter(must_not=[is_empty]) if condition.negated else models.Filter(must=[is_empty])
    if isinstance(condition, Membership):
        equal: list[models.Condition] = [_equal(key, value) for value in condition.values]
        return models.Filter(must_not=[*equal, is_empty]) if condition.negated else models.Filter(should=equal)
    if condition.operator == "=":
        return models.Filter(must=[_equal(key, condition.value)])
    if condition.operator == "!=":
        return models.Filter(must_not=[_equal(key, condition.value), is_empty])
    return models.Filter(must=[_in_order(key, condition)])


def _equal(key: str, value: FilterValue) -> models.FieldCondition:
    if isinstance(value, bool | str):
        return models.FieldCondition(key=key, match=models.MatchValue(value=value))
    # A match compares whole numbers only, a range both kinds.
    return models.FieldCondition(key=key, range=models.Range(gte=value, lte=value))


def _in_order(key: str, condition: Comparison) -> models.FieldCondition:
    if isinstance(condition.value, bool | str):
        raise FilterError(
            f"a Qdrant index cannot compare texts by {condition.operator}; use =, != or in for {condition.column!r}"
        )
    bounds: dict[Operator, str] = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
    limits: dict[str, Any] = {bounds[condition.operator]: condition.value}
    return models.FieldCondition(key=key, range=models.Range(**limits))
