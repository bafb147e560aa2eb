"""Reading, changing and removing points that are stored in a Qdrant collection."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.qdrant.location import QdrantLocation
from video_colbert.index.qdrant.points import point_id

# Records or operations in one request.
_PAGE = 500


def stored_points(client: QdrantClient, location: QdrantLocation, points: Sequence[str]) -> set[str]:
    """Those of the points that are in the collection."""
    found: set[str] = set()
    for page in _pages(points):
        records = client.retrieve(location.collection, page, with_payload=False, with_vectors=False)
        found.update(str(record.id) for record in records)
    return found


def scroll_points(
    client: QdrantClient, location: QdrantLocation, where: models.Filter | None, payload: bool | list[str]
) -> Iterator[models.Record]:
    """All points that satisfy a condition, without vectors, page by page.

    Args:
        client: of the server.
        location: the collection.
        where: the condition; None for all points.
        payload: whether their payload is wanted, or which parts of it.
    """
    offset: Any = None
    while True:
        records, offset = client.scroll(
            location.collection, scroll_filter=where, limit=_PAGE, offset=offset, with_payload=payload
        )
        yield from records
        if offset is None:
            return


def set_payload(
    client: QdrantClient, location: QdrantLocation, values: Mapping[str, dict[str, Any]], part: str | None = None
) -> None:
    """Sets values in the payloads of those videos that are stored; what else is in them stays.

    Args:
        client: of the server.
        location: the collection.
        values: by id of a video.
        part: the part of the payload to set them in; None for the payload itself.
    """
    by_point = {point_id(video_id): row for video_id, row in values.items()}
    there = sorted(stored_points(client, location, list(by_point)))
    for page in _pages(there):
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=by_point[point], points=[point], key=part)
            )
            for point in page
        ]
        client.batch_update_points(location.collection, operations)


def remove_videos(client: QdrantClient, location: QdrantLocation, ids: Collection[str]) -> int:
    """Removes videos by id; returns how many of them were there."""
    there = sorted(stored_points(client, location, [point_id(video_id) for video_id in ids]))
    for page in _pages(there):
        client.delete(location.collection, models.PointIdsList(points=list(page)))
    return len(there)


def remove_replaced(client: QdrantClient, location: QdrantLocation, videos: Sequence[IndexedVideo]) -> None:
    """Removes other contents from the places (path and window) of videos that are stored there."""
    ids = {(video.path, video.start, video.end): video.id for video in videos}
    for page in _pages(sorted({video.path for video in videos})):
        where = models.Filter(must=[models.FieldCondition(key="path", match=models.MatchAny(any=list(page)))])
        stored: dict[tuple[str, float | None, float | None], list[str]] = {}
        for record in scroll_points(client, location, where, ["id", "path", "start", "end"]):
            row = record.payload or {}
            stored.setdefault((row["path"], row["start"], row["end"]), []).append(row["id"])
        # Content that is stored under another path is not at its new one yet, so it replaces nothing there.
        replaced = [
            other
            for place, others in stored.items()
            if ids.get(place) in others
            for other in others
            if other != ids[place]
        ]
        remove_videos(client, location, replaced)


def _pages(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), _PAGE):
        yield names[first : first + _PAGE]
