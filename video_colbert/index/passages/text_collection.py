"""A plain collection of texts, from JSON lines: read as passages that belong to no video."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.errors import PassageError
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import Passage, one_line

if TYPE_CHECKING:
    from video_colbert.index.video_index import VideoIndex

SETTINGS = "document 1"
"""Of what reads a collection."""


def read_text_collection(*paths: Path) -> list[Reading]:
    """Reads a collection: a JSON object a line, with `text`, and `id` where it has a name of its own.

    A line without `id` is known by the file's absolute path and its number, such as "/home/me/notes.jsonl:12".

    Args:
        *paths: the files.

    Returns:
        A reading a text, in the order of the files.

    Raises:
        PassageError: a file cannot be read, a line is no such object, or two have the same id; the message names
            the line.
    """
    readings: dict[str, Reading] = {}
    for path, number, line in _lines(paths):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PassageError(f"{path} line {number} is no JSON: {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise PassageError(f'{path} line {number} must be an object with "text", such as {{"text": "..."}}')
        name = record.get("id", f"{os.path.normpath(path.absolute())}:{number}")
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            raise PassageError(f'{path} line {number}: "id" must be a text or a whole number, got {name!r}')
        # A line break would end a line of --paths-only, and half a surrogate pair cannot be stored.
        if not str(name).isprintable():
            raise PassageError(f'{path} line {number}: "id" holds a letter that cannot be printed, {name!r}')
        text = one_line(record["text"])
        if not text:
            raise PassageError(f'{path} line {number}: "text" is empty')
        if str(name) in readings:
            raise PassageError(f"{path} line {number}: there is another text with the id {name!r}")
        readings[str(name)] = Reading(str(name), "document", SETTINGS, (Passage("document", text),))
    return list(readings.values())


def names_of_texts(index: VideoIndex) -> set[str]:
    """The names of the texts of plain collections that an index holds.

    Raises:
        IndexStoreError: it cannot be read.
    """
    return {name for name, source in index.readings.known() if source == "document"}


def _lines(paths: Sequence[Path]) -> Iterator[tuple[Path, int, str]]:
    """Lines that are not empty, with their files and their numbers from 1."""
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield path, number, line
        except (OSError, UnicodeDecodeError) as error:
            raise PassageError(f"{path} cannot be read as UTF-8 text: {error}") from error
