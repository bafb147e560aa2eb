"""Passages as points of a Qdrant collection, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qdrant_client import models

from video_colbert.encoding.encoded import TEXT_LEVEL
from video_colbert.index.passages.keyword_words import keyword_words
from video_colbert.index.passages.passage_store import StoredPassage
from video_colbert.index.qdrant.points import level_vectors, point_id
from video_colbert.text.passages import Passage

if TYPE_CHECKING:
    from video_colbert.text.text_model import EncodedText

WORDS = "words"
"""Key of the payload with a passage's words as they are compared, one after another, which the server indexes."""


def passage_point_id(key: str) -> str:
    """The id of a passage's point, by `StoredPassage.key`."""
    return point_id(f"passage {key}")


def make_passage_point(stored: StoredPassage, encoded: EncodedText) -> models.PointStruct:
    """A point with a passage and its tokens.

    Args:
        stored: the passage.
        encoded: its tokens.
    """
    payload = {
        "key": stored.key,
        "content": stored.content,
        "source": stored.passage.source,
        "number": stored.number,
        "text": stored.passage.text,
        "start": stored.passage.start,
        "end": stored.passage.end,
        "letters": [start if end > start else -1 for start, end in encoded.spans],
        WORDS: " ".join(keyword_words(stored.passage.text)),
    }
    vectors = level_vectors({TEXT_LEVEL: encoded.embeds})
    return models.PointStruct(id=passage_point_id(stored.key), vector=vectors, payload=payload)


def stored_passage(payload: Mapping[str, Any]) -> StoredPassage:
    """The passage of a point's payload."""
    passage = Passage(payload["source"], payload["text"], payload["start"], payload["end"])
    return StoredPassage(payload["content"], payload["number"], passage)
