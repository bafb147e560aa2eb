"""Conditions on videos in Qdrant's own terms.

Qdrant's `must_not` is true of a video without a value, SQL's `!=` and `not in` are not: those say here, in addition,
that there is a value. What Qdrant has no terms for (how texts begin, what they are like, their order, and the order
of whole numbers beyond 2**53) is tried on the videos' payloads, which are read for this, and becomes a list of points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from qdrant_client import models

from video_colbert.errors import FilterError
from video_colbert.index.filter_rows import rows_where
from video_colbert.index.filters import (
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    FilterValue,
    Membership,
    NullCheck,
    Operator,
    TextMatch,
)
from video_colbert.index.indexed_video import COPIES_FIELD, RECORD_FIELDS, is_fact
from video_colbert.index.qdrant.collection import QdrantCollection
from video_colbert.index.qdrant.points import METADATA, metadata_key

# Qdrant's ranges are of float64, which tells whole numbers apart up to here.
_LARGEST_BOUND = 2**53
# Points that a condition names: 40 bytes each, and a server refuses requests over 32 MB.
_MOST_POINTS = 500_000
_RECORD_NAMES = frozenset(column.name for column in (*RECORD_FIELDS, COPIES_FIELD))


def to_qdrant_filter(condition: Filter, fields: Sequence[pa.Field], collection: QdrantCollection) -> models.Filter:
    """The condition as Qdrant's filter.

    Args:
        condition: `resolve_filter` it first, which lets only known columns and their types pass.
        fields: the columns of the collection.
        collection: whose payloads are read where Qdrant has no terms for a condition.

    Raises:
        FilterError: such a condition holds of more videos than a request can name.
    """
    return _Translation(fields, collection).translated(condition)


class _Translation:
    def __init__(self, fields: Sequence[pa.Field], collection: QdrantCollection) -> None:
        self._fields = {field.name: field for field in (*fields, COPIES_FIELD)}
        self._collection = collection

    def translated(self, condition: Filter) -> models.Filter:
        if isinstance(condition, AllOf):
            known: list[models.Condition] = [self.translated(part) for part in condition.parts if _has_terms(part)]
            others = [part for part in condition.parts if not _has_terms(part)]
            if others:
                # Only the payloads of what satisfies the rest are read.
                within = models.Filter(must=list(known)) if known else None
                known.append(self._points_where(AllOf(tuple(others)), within))
            return models.Filter(must=known)
        if not _has_terms(condition):
            return models.Filter(must=[self._points_where(condition, None)])
        if isinstance(condition, AnyOf):
            return models.Filter(should=[self.translated(part) for part in condition.parts])
        return self._in_own_terms(condition)

    def _in_own_terms(self, condition: Filter) -> models.Filter:
        assert isinstance(condition, Comparison | Membership | NullCheck)  # noqa: S101 - others are taken apart above
        key = condition.column if self._is_beside_metadata(condition.column) else metadata_key(condition.column)
        is_empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
        if isinstance(condition, NullCheck):
            return models.Filter(must_not=[is_empty]) if condition.negated else models.Filter(must=[is_empty])
        if isinstance(condition, Membership):
            keys = [key, COPIES_FIELD.name] if key == "path" else [key]
            equal: list[models.Condition] = [_equal(each, value) for each in keys for value in condition.values]
            return models.Filter(must_not=[*equal, is_empty]) if condition.negated else models.Filter(should=equal)
        if condition.operator == "=":
            return models.Filter(must=[_equal(key, condition.value)])
        if condition.operator == "!=":
            return models.Filter(must_not=[_equal(key, condition.value), is_empty])
        bounds: dict[Operator, str] = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
        limits: dict[str, Any] = {bounds[condition.operator]: condition.value}
        return models.Filter(must=[models.FieldCondition(key=key, range=models.Range(**limits))])

    def _points_where(self, condition: Filter, within: models.Filter | None) -> models.HasIdCondition:
        """The points of which a condition holds, among those that satisfy another one."""
        columns = _columns(condition)
        names = {*columns, *([COPIES_FIELD.name] if "path" in columns else [])}
        parts = {name if self._is_beside_metadata(name) else METADATA for name in names}
        points: list[str] = []
        values: dict[str, list[Any]] = {name: [] for name in names}
        for record in self._collection.scroll(within, sorted(parts)):
            payload = record.payload or {}
            points.append(str(record.id))
            for name, column in values.items():
                described = payload if self._is_beside_metadata(name) else payload.get(METADATA) or {}
                column.append(described.get(name))
        rows = pa.table({name: pa.array(column, self._fields[name].type) for name, column in values.items()})
        pairs = zip(points, rows_where(condition, rows), strict=True)
        found: list[Any] = [point for point, holds in pairs if holds]
        if len(found) > _MOST_POINTS:
            raise FilterError(
                f"a Qdrant index has no terms for the condition on {' and '.join(sorted(columns))}, which holds of "
                f"{len(found)} videos, and takes a list of at most {_MOST_POINTS}; join it by `and` with a comparison "
                "of numbers or times, or with ="
            )
        return models.HasIdCondition(has_id=[*found])

    def _is_beside_metadata(self, column: str) -> bool:
        return column in _RECORD_NAMES or is_fact(self._fields[column])


def _has_terms(condition: Filter) -> bool:
    """Whether Qdrant can answer a condition itself."""
    if isinstance(condition, AllOf | AnyOf):
        return all(map(_has_terms, condition.parts))
    if isinstance(condition, TextMatch):
        return False
    if not isinstance(condition, Comparison) or condition.operator in ("=", "!="):
        return True
    value = condition.value
    return not isinstance(value, str) and not (isinstance(value, int) and abs(value) > _LARGEST_BOUND)


def _equal(key: str, value: FilterValue) -> models.FieldCondition:
    if not isinstance(value, float):
        return models.FieldCondition(key=key, match=models.MatchValue(value=value))
    # A match compares whole numbers only.
    return models.FieldCondition(key=key, range=models.Range(gte=value, lte=value))


def _columns(condition: Filter) -> set[str]:
    if isinstance(condition, AllOf | AnyOf):
        return set().union(*map(_columns, condition.parts))
    return {condition.column}
