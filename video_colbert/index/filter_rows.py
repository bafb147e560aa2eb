"""Conditions on videos, tried on what is known of many videos at once, in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from video_colbert.index.filters import AllOf, AnyOf, Comparison, Filter, Membership, NullCheck, Operator, TextMatch
from video_colbert.index.indexed_video import COPIES_FIELD

# A value that ends in a line break is matched to its very end, and "any character" may be a line break.
_WHOLE = r"(?s)\A{}\z"
_WILDCARDS = {"%": ".*", "_": "."}
_FUNCTIONS: dict[Operator, str] = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}


def rows_where(condition: Filter, rows: pa.Table) -> npt.NDArray[np.bool_]:
    """Of which rows a condition holds.

    Args:
        condition: `resolve_filter` it first, which lets only known columns and their types pass.
        rows: what is known of videos; a column that is not there has no values.
    """
    if isinstance(condition, AllOf | AnyOf):
        holds = [rows_where(part, rows) for part in condition.parts]
        together = np.logical_and if isinstance(condition, AllOf) else np.logical_or
        return np.asarray(together.reduce(holds), np.bool_)
    if condition.column not in rows.column_names:
        is_null_check = isinstance(condition, NullCheck) and not condition.negated
        return np.full(len(rows), is_null_check)
    column = rows[condition.column]
    has_value = pc.is_valid(column)
    if pa.types.is_floating(column.type):
        has_value = pc.and_(has_value, pc.invert(pc.fill_null(pc.is_nan(column), True)))
    if isinstance(condition, NullCheck):
        return _flags(has_value if condition.negated else pc.invert(has_value))
    if isinstance(condition, Comparison):
        value = pa.scalar(condition.value, column.type)
        return _flags(pc.and_(has_value, _no_null(pc.call_function(_FUNCTIONS[condition.operator], [column, value]))))
    matches = _matches(column, condition)
    if condition.column == "path" and COPIES_FIELD.name in rows.column_names:
        matches |= _match_copies(rows[COPIES_FIELD.name], condition)
    return _flags(has_value) & (~matches if condition.negated else matches)


def _matches(column: Any, condition: Membership | TextMatch) -> npt.NDArray[np.bool_]:
    """Which values are among those of a condition, or like its text, whether it is negated or not."""
    is_met = _is_in(column, condition) if isinstance(condition, Membership) else _is_like(column, condition)
    # A copy, which can be changed.
    return np.array(_no_null(is_met), np.bool_)


def _match_copies(copies: Any, condition: Membership | TextMatch) -> npt.NDArray[np.bool_]:
    """Of which videos another file of the same content has such a path."""
    paths = copies.combine_chunks()
    lengths = np.asarray(pc.fill_null(pc.list_value_length(paths), 0))
    videos = np.repeat(np.arange(len(paths)), lengths)
    found = np.zeros(len(paths), np.bool_)
    found[videos[_matches(pc.list_flatten(paths), condition)]] = True
    return found


def _is_in(column: Any, condition: Membership) -> Any:
    values = pa.array(condition.values, column.type)
    if pa.types.is_floating(column.type):
        # Sets are of bits, in which 0 and -0 differ.
        column, values = pc.add(column, 0.0), pc.add(values, 0.0)
    return pc.is_in(column, value_set=values)


def _is_like(column: Any, condition: TextMatch) -> Any:
    matches = []
    for start in condition.starts:
        of_start = pc.starts_with(column, start)
        if condition.pattern.strip("%") or not condition.pattern:
            rest = pc.utf8_slice_codeunits(column, len(start)) if start else column
            of_start = pc.and_(of_start, pc.match_substring_regex(rest, _WHOLE.format(_expression(condition.pattern))))
        matches.append(of_start)
    result = matches[0]
    for further in matches[1:]:
        result = pc.or_(result, further)
    return result


def _expression(pattern: str) -> str:
    """A pattern as the expression that Arrow takes, every other character by its number."""
    return "".join(_WILDCARDS.get(character) or f"\\x{{{ord(character):x}}}" for character in pattern)


def _no_null(flags: Any) -> Any:
    return pc.fill_null(flags, False)


def _flags(column: Any) -> npt.NDArray[np.bool_]:
    flags: npt.NDArray[np.bool_] = np.asarray(column)
    return flags
