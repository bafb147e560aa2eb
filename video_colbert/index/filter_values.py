"""Conditions on videos with each value in the type of the column that it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from video_colbert.dataset_builders.video_files import is_unicode
from video_colbert.errors import FilterError
from video_colbert.index.filters import (
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    FilterValue,
    Membership,
    NullCheck,
    TextMatch,
)
from video_colbert.index.folder_paths import inside_folders, working_folder
from video_colbert.index.indexed_video import is_time

# Longer patterns than anybody writes.
_MAX_PATTERN = 1000
# What a column of whole numbers can hold.
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def resolve_filter(condition: Filter, fields: Sequence[pa.Field], folders: Sequence[str] = ()) -> Filter:
    """The same condition with values of their columns' types, ready for a store to answer.

    Whole numbers are compared exactly: `year >= 2019.5` becomes `year >= 2020`, and `year = 2019.5` becomes a
    condition that no video satisfies.

    Args:
        condition: what to resolve.
        fields: the columns that can be asked for.
        folders: where paths that are not absolute are looked for, beside the working directory.

    Raises:
        FilterError: a column is not there, which names those that are; or a value is of another type, or nothing that
            could be compared with.
    """
    # No path that is stored lies below a folder whose name is no Unicode.
    named = [folder for folder in (*folders, *working_folder()) if is_unicode(folder)]
    return _resolved(inside_folders(condition, named), fields)


def _resolved(condition: Filter, fields: Sequence[pa.Field]) -> Filter:
    if isinstance(condition, AllOf | AnyOf):
        return replace(condition, parts=tuple(_resolved(part, fields) for part in condition.parts))
    types = {field.name: field.type for field in fields}
    times = {field.name for field in fields if is_time(field)}
    if condition.column not in types:
        kinds = {name: "times" if name in times else _kind_name(kind) for name, kind in types.items()}
        columns = ", ".join(f"{name} ({kinds[name]})" for name in sorted(kinds))
        raise FilterError(f"there is no column {condition.column!r} to filter by; there are {columns}")
    kind = types[condition.column]
    if isinstance(condition, NullCheck):
        return condition
    if condition.column in times:
        return _of_times(condition)
    if isinstance(condition, TextMatch):
        return _of_texts(condition, kind)
    for value in condition.values if isinstance(condition, Membership) else (condition.value,):
        _check_value(condition.column, kind, value)
    if kind == pa.bool_() and isinstance(condition, Comparison) and condition.operator not in ("=", "!="):
        raise FilterError(f"column {condition.column!r} holds true or false; compare it with = or !=")
    if pa.types.is_integer(kind):
        return _of_whole_numbers(condition)
    return _of_numbers(condition) if pa.types.is_floating(kind) else condition


def _check_value(column: str, kind: pa.DataType, value: FilterValue) -> None:
    if not _is_comparable(kind, value):
        raise FilterError(f"column {column!r} holds {_kind_name(kind)}, not {value!r}")
    if isinstance(value, float) and math.isnan(value):
        raise FilterError(f"column {column!r} cannot be compared with NaN; `is null` finds it")
    if isinstance(value, str) and not is_unicode(value):
        raise FilterError(f"column {column!r} cannot be compared with {value!r}, which is no Unicode")


def _of_times(condition: Comparison | Membership | TextMatch) -> Filter:
    """A condition on a column of times, whose values become seconds since 1970."""
    if isinstance(condition, Membership):
        return replace(condition, values=tuple(_seconds(condition.column, value) for value in condition.values))
    if isinstance(condition, Comparison):
        return replace(condition, value=_seconds(condition.column, condition.value))
    raise FilterError(f"column {condition.column!r} holds times; startswith and like are for columns of text")


def _seconds(column: str, value: FilterValue) -> float:
    """A time in seconds since 1970; without an offset it is local time, as file managers show it."""
    if isinstance(value, str):
        # The first and the last years have no seconds everywhere.
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromisoformat(value).timestamp()
    raise FilterError(
        f"column {column!r} holds times, not {value!r}; write one as '2026-11-27' or '2026-11-27T10:00', which are "
        "local time, or with Z or +02:00 behind it"
    )


def _of_texts(condition: TextMatch, kind: pa.DataType) -> TextMatch:
    """A match on a column of texts."""
    if kind != pa.string():
        raise FilterError(
            f"column {condition.column!r} holds {_kind_name(kind)}; startswith and like are for columns of text"
        )
    if len(condition.pattern) > _MAX_PATTERN:
        raise FilterError(
            f"the pattern that column {condition.column!r} is to be like has {len(condition.pattern)} characters, "
            f"more than {_MAX_PATTERN}; use = or startswith"
        )
    for text in (*condition.starts, condition.pattern):
        _check_value(condition.column, kind, text)
    return condition


def _of_whole_numbers(condition: Comparison | Membership) -> Filter:
    """A condition on a column of whole numbers whose values are such as it can hold."""
    column = condition.column
    always, never = NullCheck(column, negated=True), AllOf((NullCheck(column), NullCheck(column, negated=True)))
    if isinstance(condition, Membership):
        values = tuple(int(value) for value in condition.values if _is_whole(value))
        if not values:
            return always if condition.negated else never
        return replace(condition, values=values)
    value, operator = condition.value, condition.operator
    if _is_whole(value):
        return replace(condition, value=int(value))
    if operator in ("=", "!="):
        return never if operator == "=" else always
    assert not isinstance(value, str)  # noqa: S101 - checked above
    is_upper_bound = operator in ("<", "<=")
    if not _SMALLEST <= value <= _LARGEST:
        return always if is_upper_bound == (value > 0) else never
    return (
        Comparison(column, "<=", math.floor(value)) if is_upper_bound else Comparison(column, ">=", math.ceil(value))
    )


def _of_numbers(condition: Comparison | Membership) -> Filter:
    """A condition on a column of numbers whose values are such numbers."""
    try:
        if isinstance(condition, Membership):
            return replace(condition, values=tuple(map(float, condition.values)))
        return replace(condition, value=float(condition.value))
    except OverflowError as error:
        raise FilterError(f"a number that column {condition.column!r} is compared with is too large") from error


def _is_whole(value: FilterValue) -> bool:
    """Whether a column of whole numbers can hold a number."""
    return not isinstance(value, str) and _SMALLEST <= value <= _LARGEST and int(value) == value


def _is_comparable(kind: pa.DataType, value: FilterValue) -> bool:
    if isinstance(value, bool):
        return bool(kind == pa.bool_())
    if isinstance(value, str):
        return bool(kind == pa.string())
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _kind_name(kind: pa.DataType) -> str:
    if kind == pa.bool_():
        return "true or false"
    return "text" if kind == pa.string() else "numbers"
