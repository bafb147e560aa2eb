"""Passages as rows of a table of videos, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue
from video_colbert.index.passages.passage_store import StoredPassage
from video_colbert.text.passages import Passage

if TYPE_CHECKING:
    from video_colbert.text.text_model import EncodedText

CONTENT, SOURCE, NUMBER, TEXT, LETTERS = "content", "source", "number", "text", "letters"
"""Columns of metadata."""

_LEVEL = "text"


def passage_rows(
    passages: Sequence[tuple[StoredPassage, EncodedText]],
) -> list[tuple[IndexedVideo, EncodedVideo]]:
    """Passages with their tokens as an index stores videos."""
    rows = []
    for stored, encoded in passages:
        passage = stored.passage
        metadata: dict[str, MetadataValue] = {
            CONTENT: stored.content,
            SOURCE: passage.source,
            NUMBER: stored.number,
            TEXT: passage.text,
            LETTERS: " ".join(str(start) if end > start else "-" for start, end in encoded.spans),
        }
        duration = 0.0 if passage.end is None else passage.end
        video = IndexedVideo(
            stored.key, stored.key, duration, (), start=passage.start, end=passage.end, metadata=metadata
        )
        tokens = EncodedVideo(VideoClip(stored.key), duration, np.zeros(0), {_LEVEL: encoded.embeds})
        rows.append((video, tokens))
    return rows


def stored_passage(row: Mapping[str, Any]) -> StoredPassage:
    """The passage of a row of a table; `row` has its columns of metadata, its start and its end."""
    return StoredPassage(row[CONTENT], row[NUMBER], Passage(row[SOURCE], row[TEXT], row["start"], row["end"]))


def letters_of(text: str) -> Iterator[int]:
    """For each token with which letter it begins; -1 for none."""
    return (-1 if each == "-" else int(each) for each in text.split())
