"""What was read of videos that leave a Qdrant index, and leaves with them."""

from __future__ import annotations

from collections.abc import Collection

from qdrant_client import models

from video_colbert.index.qdrant.collection import QdrantCollection, pages
from video_colbert.index.qdrant.points import point_id


def contents_without(collection: QdrantCollection, ids: Collection[str]) -> set[str]:
    """Digests of the contents that would not be held any more without some videos or windows.

    Args:
        collection: of videos.
        ids: of the videos; those that are not stored are passed over.
    """
    points = [point_id(video_id) for video_id in ids]
    leaving: set[str] = set()
    for page in pages(points):
        for record in collection.client.retrieve(collection.name, page, with_payload=["digest"]):
            leaving.add((record.payload or {})["digest"])
    staying: set[str] = set()
    for page in pages(sorted(leaving)):
        where = models.Filter(
            must=[models.FieldCondition(key="digest", match=models.MatchAny(any=list(page)))],
            must_not=[models.HasIdCondition(has_id=[*points])],
        )
        staying.update((record.payload or {})["digest"] for record in collection.scroll(where, ["digest"]))
    return leaving - staying
