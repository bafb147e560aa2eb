"""The metadata columns of an index: their names, their types, and those that new values need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from video_colbert.dataset_builders.video_files import is_unicode
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import COPIES_FIELD, FACT_FIELDS, RECORD_FIELDS, MetadataValue, is_fact, is_time

TOKENS_SUFFIX = "_tokens"
"""What the name of the column of a level's tokens ends in, behind the level's name."""

WEIGHTS_SUFFIX = "_token_weights"
"""Likewise of the column of what a level's tokens count by."""

POOLED = "pooled"
"""Name of the column of pooled vectors."""

_RECORD_NAMES = frozenset(column.name for column in (*RECORD_FIELDS, COPIES_FIELD))
_FACT_NAMES = tuple(column.name for column in FACT_FIELDS)
_FACTS = f"{', '.join(_FACT_NAMES[:-1])} and {_FACT_NAMES[-1]}"
# What quotes a name in a filter, and what Lance takes for a column within a column.
_NOT_IN_NAMES = frozenset('"`.')
# Names that Lance gives to columns of its own, or that mean all columns: a table that has one cannot be read any more.
_OF_LANCE = frozenset(
    ("_rowid", "_rowaddr", "_rowoffset", "_row_created_at_version", "_row_last_updated_at_version", "__action", "*")
)
_TYPES: dict[type, pa.DataType] = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def metadata_fields(schema: pa.Schema) -> list[pa.Field]:
    """The metadata columns of an index."""
    return [
        column
        for column in schema
        if column.name not in _RECORD_NAMES and not is_fact(column) and not is_list(column.type)
    ]


def missing_fact_fields(schema: pa.Schema) -> list[pa.Field]:
    """Those of `FACT_FIELDS` that an index has no column of, under whose names it has no metadata either."""
    return [column for column in FACT_FIELDS if column.name not in schema.names]


def filter_fields(schema: pa.Schema) -> list[pa.Field]:
    """The columns that a search can filter by: metadata, and what is known of every video or its file.

    What an index has no column of yet is there without values.
    """
    return [*(column for column in schema if not is_list(column.type)), *missing_fact_fields(schema)]


def columns_in_words(schema: pa.Schema) -> dict[str, str]:
    """The columns that a search can filter by, and what each holds, such as "whole numbers"."""
    return {column.name: "times" if is_time(column) else _type_name(column.type) for column in filter_fields(schema)}


def new_metadata_fields(schema: pa.Schema, values: Iterable[Mapping[str, MetadataValue]]) -> list[pa.Field]:
    """The metadata columns that these values need and an index does not have yet.

    A column of numbers takes whole numbers too; one of whole numbers, which it is if all its first values are, takes
    no others.

    Args:
        schema: of the index.
        values: metadata of the videos to add.

    Raises:
        IndexStoreError: a name cannot be a column's or is taken, or a value's type is not that of its column.
    """
    known = {column.name: column.type for column in schema}
    stored = {column.name for column in metadata_fields(schema)}
    types: dict[str, list[pa.DataType]] = {}
    new = []
    for name, value in (item for row in values for item in row.items()):
        if not name.strip() or not name.isprintable() or _NOT_IN_NAMES & set(name):
            raise IndexStoreError(
                f'metadata cannot be named {name!r}; use letters, digits, spaces and signs other than ", ` and .'
            )
        if name in _RECORD_NAMES or name == POOLED:
            raise IndexStoreError(f"metadata cannot be named {name!r}, which is a column of every index")
        if name in _FACT_NAMES and name not in stored:
            raise IndexStoreError(
                f"metadata cannot be named {name!r}, which an index knows of each file itself, as {_FACTS}; give the "
                "column another name"
            )
        if name.strip().lower() in _OF_LANCE:
            raise IndexStoreError(f"metadata cannot be named {name!r}, which the table keeps for itself")
        for suffix in (TOKENS_SUFFIX, WEIGHTS_SUFFIX):
            if name.endswith(suffix) and name not in stored:
                raise IndexStoreError(f"metadata cannot be named {name!r}; a name that ends in {suffix} is a level's")
        if type(value) not in _TYPES:
            raise IndexStoreError(
                f"metadata {name!r} must be text, a number, or true or false, got {value!r} ({type(value).__name__})"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise IndexStoreError(f"metadata {name!r} is too large a number for an index: {value}")
        if isinstance(value, str) and not is_unicode(value):
            raise IndexStoreError(f"metadata {name!r} must be Unicode, which {value[:80]!r} is not")
        found = types.setdefault(name, [])
        if (kind := _TYPES[type(value)]) not in found:
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


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds vectors or times, which no metadata column does."""
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))


def _type_name(kind: pa.DataType) -> str:
    return {pa.bool_(): "true or false", pa.int64(): "whole numbers", pa.float64(): "numbers"}.get(kind, "text")
