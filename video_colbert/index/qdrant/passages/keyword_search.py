"""Passages that hold the words of a query, ranked by Qdrant's text index (BM25).

Each shard of a collection counts for itself how rare words are. The client's local mode has no such index: it answers
the same requests, with the same scores, by going through all passages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from qdrant_client import models

from video_colbert.index.passages.keyword_words import asked_words
from video_colbert.index.passages.passage_store import FoundPassage
from video_colbert.index.qdrant.collection import QdrantCollection
from video_colbert.index.qdrant.passages.passage_points import WORDS, stored_passage
from video_colbert.index.qdrant.passages.side_collection import passages_where
from video_colbert.text.passages import Source

# Passages asked for at first for each content that is wanted.
_PASSAGES_A_CONTENT = 4


def find_keywords(
    collection: QdrantCollection,
    text: str,
    count: int,
    sources: Collection[Source] | None,
    contents: Collection[str] | None,
) -> list[FoundPassage]:
    """Finds the best contents, as `PassageStore.search_keywords` says.

    Args:
        collection: of passages.
        text: the query.
        count: contents, at most.
        sources: whose passages are asked; None for all.
        contents: among which they are chosen; None for all.
    """
    words, phrases = asked_words(text)
    if not words:
        return []
    [(first, factor), *others] = _layers(words)
    where = passages_where(str(collection.location), sources, contents, phrases)
    limit = count * _PASSAGES_A_CONTENT
    while True:
        [points] = _ask(collection, [first], where, limit)
        scores = {str(point.id): factor * point.score for point in points}
        if others and points:
            among = models.Filter(must=[models.HasIdCondition(has_id=[point.id for point in points])])
            asked = [layer for layer, _ in others]
            for (_, times), again in zip(others, _ask(collection, asked, among, len(points)), strict=True):
                for point in again:
                    scores[str(point.id)] += times * point.score
        found = [FoundPassage(stored_passage(point.payload or {}), scores[str(point.id)]) for point in points]
        best: dict[str, FoundPassage] = {}
        for each in sorted(found, key=lambda each: (-each.score, each.stored.key)):
            best.setdefault(each.stored.content, each)
        if len(points) < limit or len(best) >= count:
            return list(best.values())[:count]
        limit *= 4


def _layers(words: Sequence[str]) -> list[tuple[list[str], int]]:
    """Layers of words, and how often each layer counts: the index counts a word that a query repeats once."""
    asked: Mapping[str, int] = Counter(words)
    layers, before = [], 0
    for number in sorted(set(asked.values())):
        layers.append(([word for word, times in asked.items() if times >= number], number - before))
        before = number
    return layers


def _ask(
    collection: QdrantCollection, layers: Sequence[Sequence[str]], where: models.Filter | None, limit: int
) -> list[list[models.ScoredPoint]]:
    """The best passages for the words of each layer."""
    requests = [
        models.QueryRequest(
            query=models.TextQuery(text=models.TextQueryInput(query=" ".join(words))),
            using=WORDS,
            filter=where,
            limit=limit,
            with_payload=True,
        )
        for words in layers
    ]
    return [response.points for response in collection.client.query_batch_points(collection.name, requests)]
