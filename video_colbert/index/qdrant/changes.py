"""Changes of a Qdrant collection: what is uploaded, set and removed.

An upload is repeated after a lost connection, and sends only what is missing.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from qdrant_client import models

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.qdrant.collection import QdrantCollection, pages
from video_colbert.index.qdrant.errors import is_transient
from video_colbert.index.qdrant.layout import level_vector
from video_colbert.index.qdrant.points import level_vectors, make_point, point_id
from video_colbert.progress import progress_bar

logger = logging.getLogger(__name__)

# Videos between two looks at what is there; an interrupted upload repeats at most these.
_CHUNK = 512
# A server refuses requests over 32 MB unless it is told otherwise; a number is about 12 characters.
_REQUEST_BYTES = 8 * 2**20
_BYTES_A_NUMBER = 12
# The client tries a failed request again at once; a machine that restarts needs longer.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)


def upload_videos(collection: QdrantCollection, videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> None:
    """Uploads the videos whose ids are not in the collection yet; each is acknowledged only once it can be found.

    Running again after an interruption uploads what is missing.

    Args:
        collection: where to; its location says how many processes upload.
        videos: what to know of each, and its tokens.

    Raises:
        IndexStoreError: the uploading processes stopped again and again.
        Exception: the client's own, after half a minute of failures or where trying again is of no use.
    """
    waiting = iter(videos)
    with progress_bar(total=len(videos), desc="uploading", unit="video", is_shown=len(videos) > _CHUNK) as bar:
        while chunk := list(islice(waiting, _CHUNK)):
            points = {point_id(video.id): functools.partial(make_point, video, encoded) for video, encoded in chunk}
            upload_points(collection, points, batch_size(map(_numbers_of, chunk)))
            bar.update(len(chunk))


def renew_videos(collection: QdrantCollection, videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> None:
    """Gives videos that are stored other tokens; what else is known of them stays.

    Args:
        collection: where.
        videos: each with its new tokens, of all levels of the collection; those that are not stored are passed over.

    Raises:
        IndexStoreError: as `upload_videos`.
        Exception: likewise.
    """
    there = collection.stored([point_id(video.id) for video, _ in videos])
    for video, encoded in videos:
        if (point := point_id(video.id)) not in there:
            continue
        vectors = level_vectors(encoded.embeds)
        change = [models.PointVectors(id=point, vector=vectors)]
        _repeat_interrupted(collection, functools.partial(collection.client.update_vectors, collection.name, change))
        if gone := [name for level in encoded.embeds if (name := level_vector(level)) not in vectors]:
            collection.client.delete_vectors(collection.name, gone, [point])


def set_payload(collection: QdrantCollection, values: Mapping[str, dict[str, Any]], part: str | None = None) -> None:
    """Sets values in the payloads of those videos that are stored; what else is in them stays.

    Args:
        collection: where.
        values: by id of a video.
        part: the part of the payload to set them in; None for the payload itself.
    """
    by_point = {point_id(video_id): row for video_id, row in values.items()}
    for page in pages(sorted(collection.stored(list(by_point)))):
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=by_point[point], points=[point], key=part)
            )
            for point in page
        ]
        collection.client.batch_update_points(collection.name, operations)


def remove_videos(collection: QdrantCollection, ids: Collection[str]) -> int:
    """Removes videos by id; returns how many of them were there."""
    there = sorted(collection.stored([point_id(video_id) for video_id in ids]))
    for page in pages(there):
        collection.client.delete(collection.name, models.PointIdsList(points=list(page)))
    return len(there)


def find_replaced(collection: QdrantCollection, videos: Sequence[IndexedVideo]) -> list[str]:
    """The ids of other contents at the places (path and window) of videos that are stored there."""
    found: list[str] = []
    ids = {(video.path, video.start, video.end): video.id for video in videos}
    for page in pages(sorted({video.path for video in videos})):
        where = models.Filter(must=[models.FieldCondition(key="path", match=models.MatchAny(any=list(page)))])
        stored: dict[tuple[str, float | None, float | None], list[str]] = {}
        for record in collection.scroll(where, ["id", "path", "start", "end"]):
            row = record.payload or {}
            stored.setdefault((row["path"], row["start"], row["end"]), []).append(row["id"])
        # Content that is stored under another path is not at its new one yet, so it replaces nothing there.
        found += [
            other
            for place, others in stored.items()
            if ids.get(place) in others
            for other in others
            if other != ids[place]
        ]
    return found


def upload_points(
    collection: QdrantCollection, points: Mapping[str, Callable[[], models.PointStruct]], batch: int
) -> None:
    """Uploads those points that are not in the collection yet; each is acknowledged only once it can be found.

    Args:
        collection: where to.
        points: by id, what makes each.
        batch: points a request.

    Raises:
        IndexStoreError: as `upload_videos`.
        Exception: likewise.
    """

    def upload() -> None:
        there = collection.stored(list(points))
        missing = [make for point, make in points.items() if point not in there]
        if missing:
            collection.client.upload_points(
                collection.name,
                (make() for make in missing),
                batch_size=batch,
                parallel=collection.location.parallel,
                wait=True,
            )

    _repeat_interrupted(collection, upload)


def replace_points(collection: QdrantCollection, points: Sequence[models.PointStruct], sizes: Sequence[int]) -> None:
    """Uploads points, each in place of one of the same id if there is one.

    Args:
        collection: where to.
        points: the points.
        sizes: how many bytes each takes in a request, about.

    Raises:
        IndexStoreError: as `upload_videos`.
        Exception: likewise.
    """
    parts: list[list[models.PointStruct]] = []
    room = 0
    for point, size in zip(points, sizes, strict=True):
        if not parts or size > room:
            parts.append([])
            room = _REQUEST_BYTES
        parts[-1].append(point)
        room -= size
    for part in parts:
        _repeat_interrupted(collection, functools.partial(collection.client.upsert, collection.name, part))


def _repeat_interrupted(collection: QdrantCollection, upload: Callable[[], object]) -> None:
    for pause in (*_PAUSES, None):
        try:
            upload()
            return
        except RuntimeError as error:
            # How the client reports that one of its uploading processes failed.
            if pause is None:
                raise IndexStoreError(f"{collection.location}: the uploading processes stopped ({error})") from error
            _wait(collection, pause, error)
        except Exception as error:
            if pause is None or not is_transient(error):
                raise
            _wait(collection, pause, error)


def _wait(collection: QdrantCollection, pause: float, error: Exception) -> None:
    logger.warning("Upload to %s was interrupted (%s); trying again in %g s.", collection.location, error, pause)
    time.sleep(pause)


def batch_size(numbers: Iterable[int]) -> int:
    """Points a request, so that the largest of them would fit as often.

    Args:
        numbers: for each of some points, how many numbers its vectors have.
    """
    return min(64, max(1, _REQUEST_BYTES // (_BYTES_A_NUMBER * max(numbers))))


def _numbers_of(video: tuple[IndexedVideo, EncodedVideo]) -> int:
    return sum(tokens.numel() for tokens in video[1].embeds.values())
