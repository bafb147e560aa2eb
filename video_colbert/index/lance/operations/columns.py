"""Columns of a Lance table: whether new ones can be had, and rows that have all of them."""

from __future__ import annotations

from collections.abc import Sequence

import lancedb
import pyarrow as pa

from video_colbert.index.lance.errors import writing
from video_colbert.index.lance.storage import TABLE_NAME
from video_colbert.index.metadata_columns import is_list


def try_columns(schema: pa.Schema, fields: Sequence[pa.Field]) -> None:
    """Adds columns to an empty copy of a table without its vectors, in memory, and writes and reads it.

    Args:
        schema: of the table.
        fields: the columns to add.

    Raises:
        IndexStoreError: LanceDB cannot have them.
    """
    values, added = ([column for column in columns if not is_list(column.type)] for columns in (schema, fields))
    copy = pa.schema([column if column.name == "id" else column.with_nullable(True) for column in values])
    with writing(f"an index with the columns {', '.join(column.name for column in fields)}"):
        table = lancedb.connect("memory://").create_table(TABLE_NAME, schema=copy)
        if added:
            table.add_columns(added)
        row = with_all_columns(pa.table({"id": ["a"]}), table.schema)
        table.merge_insert("id").when_not_matched_insert_all().execute(row)
        found = table.search().select(table.schema.names).with_row_id(True).limit(None).to_arrow()
        table.take_row_ids(found["_rowid"].to_pylist()).select(table.schema.names).with_row_id().to_arrow()


def with_all_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with all columns of a table, those that they lack null.

    Args:
        rows: some of the columns, in any order.
        schema: of the table.
    """
    columns = [
        rows[column.name].cast(column.type) if column.name in rows.column_names else pa.nulls(len(rows), column.type)
        for column in schema
    ]
    return pa.table(columns, schema=schema)


def is_in(column: str, values: Sequence[str]) -> str:
    """The SQL condition that a column has one of some values."""
    return f"`{column}` in ({', '.join(map(_sql_text, values))})"


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
