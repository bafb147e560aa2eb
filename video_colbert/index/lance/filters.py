"""Conditions on videos in the SQL that Lance understands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa

from video_colbert.index.filters import AllOf, Comparison, Filter, FilterValue, Membership, NullCheck


def to_lance_filter(condition: Filter, fields: Sequence[pa.Field]) -> str:
    """The condition in Lance's SQL; `resolve_filter` it first, which lets only known columns and their types pass.

    Args:
        condition: what to translate.
        fields: the columns that it may ask for.
    """
    numbers = frozenset(field.name for field in fields if pa.types.is_floating(field.type))
    return _sql(condition, numbers)


def sql_text(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _sql(condition: Filter, numbers: frozenset[str]) -> str:
    if not isinstance(condition, Comparison | Membership | NullCheck):
        word = " AND " if isinstance(condition, AllOf) else " OR "
        return "(" + word.join(_sql(part, numbers) for part in condition.parts) + ")"
    column = f"`{condition.column}`"
    # To Lance NaN is a value, and larger than any other.
    has_nan = condition.column in numbers
    if isinstance(condition, NullCheck):
        if condition.negated:
            return f"({column} IS NOT NULL AND NOT isnan({column}))" if has_nan else f"{column} IS NOT NULL"
        return f"({column} IS NULL OR isnan({column}))" if has_nan else f"{column} IS NULL"
    if isinstance(condition, Membership):
        negation = "NOT " if condition.negated else ""
        sql = f"{column} {negation}IN ({', '.join(map(_literal, condition.values))})"
        admits_nan = condition.negated
    else:
        sql = f"{column} {condition.operator} {_literal(condition.value)}"
        admits_nan = condition.operator in ("!=", ">", ">=")
    return f"({sql} AND NOT isnan({column}))" if has_nan and admits_nan else sql


def _literal(value: FilterValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isinf(value):
        return f"CAST('{'-' if value < 0 else ''}Infinity' AS DOUBLE)"
    if isinstance(value, int) and value == -(2**63):
        # Lance reads its digits as a number of its own, which is too large, and then the sign.
        return f"CAST('{value}' AS BIGINT)"
    return sql_text(value) if isinstance(value, str) else repr(value)
