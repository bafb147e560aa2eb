"""The contents whose passages fit queries best, by the tokens of a collection: the best passage of each."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch

from video_colbert.encoding.encoded import TEXT_LEVEL
from video_colbert.index.passages.passage_store import FoundPassage
from video_colbert.index.qdrant.collection import CollectionDescription, QdrantCollection
from video_colbert.index.qdrant.layout import level_vector
from video_colbert.index.qdrant.passages.passage_points import stored_passage
from video_colbert.index.qdrant.passages.side_collection import passages_where
from video_colbert.index.qdrant.search import QUERY_BATCH, SearchRequest, best_points
from video_colbert.index.qdrant.stored_tokens import level_bags, retrieve_points
from video_colbert.index.search.rescoring import single_query
from video_colbert.index.search.scoring import check_queries, score_bags
from video_colbert.text.passages import Source

if TYPE_CHECKING:
    from qdrant_client import models

    from video_colbert.encoding.encoded import EncodedQueries


@torch.inference_mode()
def find_passages(
    collection: QdrantCollection,
    description: CollectionDescription,
    queries: EncodedQueries,
    source: Source,
    count: int,
    contents: Collection[str] | None,
) -> list[list[FoundPassage]]:
    """Finds the best contents for each query, as `PassageStore.search` says.

    Args:
        collection: of passages.
        description: what it holds.
        queries: of the text model.
        source: whose passages are asked.
        count: contents a query, at most.
        contents: among which they are chosen; None for all.
    """
    check_queries(queries, description.dimensions, f"the passages of the index at {collection.location}")
    where = passages_where(str(collection.location), [source], contents)
    request = SearchRequest(count, where, group_by="content")
    results: list[list[FoundPassage]] = []
    for first in range(0, len(queries.texts), QUERY_BATCH):
        rows = range(first, min(first + QUERY_BATCH, len(queries.texts)))
        points = best_points(collection, description, queries, rows, request)
        wanted = list(dict.fromkeys(point for best in points for point in best))
        records = {
            str(record.id): record for record in retrieve_points(collection, wanted, [level_vector(TEXT_LEVEL)])
        }
        for row, best in zip(rows, points, strict=True):
            # A passage that was removed between the two requests is gone.
            found = [records[point] for point in best if point in records]
            results.append(_scored(single_query(queries, row), found, description)[:count])
    return results


def _scored(
    query: EncodedQueries, records: list[models.Record], description: CollectionDescription
) -> list[FoundPassage]:
    """Passages with the scores of one query, best first."""
    if not records:
        return []
    size = description.dimensions[TEXT_LEVEL]
    tokens = []
    for record in records:
        vectors: Any = record.vector
        tokens.append({TEXT_LEVEL: torch.tensor(vectors[level_vector(TEXT_LEVEL)]).half().view(-1, size)})
    scores = score_bags(query, level_bags(tokens, description), dtype=torch.float64).scores[0].tolist()
    found = []
    for record, score, of_passage in zip(records, scores, tokens, strict=True):
        payload = record.payload or {}
        if score > -math.inf:
            letters = tuple(payload["letters"])
            found.append(FoundPassage(stored_passage(payload), score, of_passage[TEXT_LEVEL], letters))
    return sorted(found, key=lambda each: (-each.score, each.stored.key))
