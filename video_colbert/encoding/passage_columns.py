"""Texts of videos in rows of a data set: the column `passages`, or those that spoken shapes have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# What a spoken-shapes clip says, shows and is told to be, as it was made.
_COLUMNS = {"speech": "spoken", "screen_text": "written", "description": "told"}


def passages_of(row: Mapping[str, Any], levels: Collection[str]) -> dict[str, str]:
    """The texts of a row's video, of some levels; those that are missing or empty are left out.

    Args:
        row: its `passages` are texts by level; without that column, `spoken`, `written` and `told` are what they are
            named for.
        levels: the levels of texts that a model has.

    Example:
        >>> passages_of({"passages": {"speech": "add salt", "description": None}}, ["speech", "description"])
        {'speech': 'add salt'}
    """
    texts = row.get("passages")
    if texts is None:
        texts = {level: row.get(column) for level, column in _COLUMNS.items()}
    return {level: texts[level] for level in levels if texts.get(level)}


def level_of_caption(row: Mapping[str, Any], caption: int) -> str | None:
    """The level that answers a caption, of the row's `caption_levels` or `sources`; None where none is said.

    Example:
        >>> level_of_caption({"sources": ["subtitles"]}, 0)
        'speech'
    """
    levels = row.get("caption_levels") or row.get("sources")
    level: str | None = levels[caption] if levels else None
    # What is said may be read, too.
    return "speech" if level == "subtitles" else level
