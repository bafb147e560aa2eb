"""Conditions on videos in Qdrant's own terms.

Qdrant's `must_not` is true of a video without a value, SQL's `!=` and `not in` are not: those say here, in addition,
that there is a value.
"""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from video_colbert.errors import FilterError
from video_colbert.index.filters import AllOf, AnyOf, Comparison, Filter, FilterValue, Membership, NullCheck, Operator
from video_colbert.index.indexed_video import RECORD_FIELDS
from video_colbert.index.qdrant.points import metadata_key

# Qdrant's ranges are of float64, which tells whole numbers apart up to here.
_LARGEST_BOUND = 2**53
_RECORD_NAMES = frozenset(column.name for column in RECORD_FIELDS)


def to_qdrant_filter(condition: Filter) -> models.Filter:
    """The condition as Qdrant's filter; `resolve_filter` it first, which lets only known columns and their types pass.

    Raises:
        FilterError: it asks for an order that Qdrant does not have: of texts, or of whole numbers beyond 2**53.
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
    if not isinstance(value, float):
        return models.FieldCondition(key=key, match=models.MatchValue(value=value))
    # A match compares whole numbers only.
    return models.FieldCondition(key=key, range=models.Range(gte=value, lte=value))


def _in_order(key: str, condition: Comparison) -> models.FieldCondition:
    if isinstance(condition.value, bool | str):
        raise FilterError(
            f"a Qdrant index cannot compare texts by {condition.operator}; use =, != or in for {condition.column!r}"
        )
    if isinstance(condition.value, int) and abs(condition.value) > _LARGEST_BOUND:
        raise FilterError(
            f"a Qdrant index cannot compare whole numbers beyond 2**53 by {condition.operator}; use =, != or in for "
            f"{condition.column!r}"
        )
    bounds: dict[Operator, str] = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
    limits: dict[str, Any] = {bounds[condition.operator]: condition.value}
    return models.FieldCondition(key=key, range=models.Range(**limits))
