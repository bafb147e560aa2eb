"""Readings as rows of plain values, as every kind of index keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from video_colbert.errors import IndexStoreError
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import SOURCES, Passage, Source


def reading_row(reading: Reading) -> dict[str, str | None]:
    """A reading as a row; `id` tells it from all others."""
    passages = [passage.to_json() for passage in reading.passages]
    return {
        "id": f"{reading.source}:{reading.digest}",
        "digest": reading.digest,
        "source": reading.source,
        "settings": reading.settings,
        "problem": reading.problem,
        "passages": json.dumps(passages, ensure_ascii=False),
    }


def reading_of_row(row: Mapping[str, Any], place: str, holder: str) -> Reading:
    """The reading of a row.

    Args:
        row: of `reading_row`.
        place: of the index, for the error.
        holder: what in it holds readings, likewise.

    Raises:
        IndexStoreError: there is none in it.
    """
    try:
        passages = tuple(Passage.from_json(record) for record in json.loads(row["passages"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise IndexStoreError(
            f"{place} is damaged: what its {holder} holds of {row.get('digest')} are no passages"
        ) from error
    return Reading(row["digest"], source_of(row["source"], place, holder), row["settings"], passages, row["problem"])


def source_of(name: str, place: str, holder: str) -> Source:
    """The source of a name.

    Args:
        name: of a source.
        place: as of `reading_of_row`.
        holder: likewise.

    Raises:
        IndexStoreError: there is none of this name.
    """
    for source in SOURCES:
        if source == name:
            return source
    raise IndexStoreError(f"{place} is damaged: its {holder} names the source {name!r}, which is none")
