"""The tokens of stored points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from qdrant_client import models
from torch import Tensor

from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.qdrant.collection import CollectionDescription, QdrantCollection
from video_colbert.index.qdrant.layout import level_vector
from video_colbert.index.qdrant.points import from_payload, point_id
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.token_bags import TokenBags

# Points whose tokens one request brings back, some 100 KB each as text.
_POINT_BATCH = 200


def fetch_points(
    collection: QdrantCollection, description: CollectionDescription, points: Sequence[str]
) -> dict[str, tuple[IndexedVideo, dict[str, Tensor]]]:
    """What is stored of points: the video and its tokens, float16 [tokens, D] by level.

    Args:
        collection: where.
        description: what it holds.
        points: ids of points; those that are not stored are left out.
    """
    names = [level_vector(level) for level in description.dimensions]
    stored = {}
    for record in retrieve_points(collection, points, names):
        vectors: Any = record.vector
        stored[str(record.id)] = (
            from_payload(record.payload, str(collection.location)),
            {
                level: torch.tensor(vectors.get(level_vector(level), [])).half().view(-1, dimension)
                for level, dimension in description.dimensions.items()
            },
        )
    return stored


def retrieve_points(
    collection: QdrantCollection, points: Sequence[str], vectors: list[str]
) -> Iterator[models.Record]:
    """Stored points with their payloads and some of their vectors.

    Args:
        collection: where.
        points: their ids; those that are not stored are left out.
        vectors: names.
    """
    for first in range(0, len(points), _POINT_BATCH):
        page = points[first : first + _POINT_BATCH]
        yield from collection.client.retrieve(collection.name, page, with_payload=True, with_vectors=vectors)


def tokens_of(collection: QdrantCollection, description: CollectionDescription, ids: Sequence[str]) -> LevelBags:
    """The tokens of some videos, as `VideoIndex.tokens_of` says."""
    stored = fetch_points(collection, description, [point_id(name) for name in ids])
    if absent := [name for name in ids if point_id(name) not in stored]:
        raise IndexStoreError(f"not in the index at {collection.location}: {absent[0]}")
    return level_bags((stored[point_id(name)][1] for name in ids), description)


def sampled_tokens(collection: QdrantCollection, description: CollectionDescription, count: int) -> LevelBags | None:
    """The tokens of some videos, as `VideoIndex.sampled_tokens` says.

    A point's id is a digest, so that the first ones are as good as drawn.
    """
    records, _ = collection.client.scroll(collection.name, limit=count, with_payload=False, with_vectors=False)
    stored = fetch_points(collection, description, [str(record.id) for record in records])
    return level_bags((tokens for _, tokens in stored.values()), description) if stored else None


def level_bags(tokens: Iterable[Mapping[str, Tensor]], description: CollectionDescription) -> LevelBags:
    """Tokens of at least one video, by level, as bags."""
    listed = list(tokens)
    return LevelBags(
        {level: TokenBags.from_bags([of_video[level] for of_video in listed]) for level in description.dimensions}
    )
