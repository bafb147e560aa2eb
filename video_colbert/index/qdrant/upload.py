"""Videos into a Qdrant collection: in parallel, again after a lost connection, and only what is not there yet."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from qdrant_client import QdrantClient, models
from tqdm import tqdm

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.qdrant.changes import stored_points
from video_colbert.index.qdrant.errors import is_transient
from video_colbert.index.qdrant.location import QdrantLocation
from video_colbert.index.qdrant.points import make_point, point_id

logger = logging.getLogger(__name__)

# Videos between two looks at what is there; an interrupted upload repeats at most these.
_CHUNK = 512
# A server refuses requests over 32 MB unless it is told otherwise; a number is about 12 characters.
_REQUEST_BYTES = 8 * 2**20
_BYTES_A_NUMBER = 12
# The client tries a failed request again at once; a machine that restarts needs longer.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)


def upload_videos(
    client: QdrantClient,
    location: QdrantLocation,
    videos: Sequence[tuple[IndexedVideo, EncodedVideo]],
) -> None:
    """Uploads the videos whose ids are not in the collection yet; each is acknowledged only once it can be found.

    Running again after an interruption uploads what is missing.

    Args:
        client: of the server.
        location: the collection, and how many processes upload.
        videos: what to know of each, and its tokens.

    Raises:
        IndexStoreError: the uploading processes stopped again and again.
        Exception: the client's own, after half a minute of failures or where trying again is of no use.
    """
    waiting = iter(videos)
    with tqdm(
        total=len(videos), desc="uploading", unit="video", disable=None if len(videos) > _CHUNK else True
    ) as bar:
        while chunk := list(islice(waiting, _CHUNK)):
            _upload_chunk(client, location, chunk)
            bar.update(len(chunk))


def _upload_chunk(
    client: QdrantClient,
    location: QdrantLocation,
    chunk: Sequence[tuple[IndexedVideo, EncodedVideo]],
) -> None:
    for pause in (*_PAUSES, None):
        try:
            there = stored_points(client, location, [point_id(video.id) for video, _ in chunk])
            missing = [(video, encoded) for video, encoded in chunk if point_id(video.id) not in there]
            if missing:
                client.upload_points(
                    location.collection,
                    _points(missing),
                    batch_size=_batch_size(missing),
                    parallel=location.parallel,
                    wait=True,
                )
            return
        except RuntimeError as error:
            # How the client reports that one of its uploading processes failed.
            if pause is None:
                raise IndexStoreError(f"{location}: the uploading processes stopped ({error})") from error
            _wait(location, pause, error)
        except Exception as error:
            if pause is None or not is_transient(error):
                raise
            _wait(location, pause, error)


def _wait(location: QdrantLocation, pause: float, error: Exception) -> None:
    logger.warning("Upload to %s was interrupted (%s); trying again in %g s.", location, error, pause)
    time.sleep(pause)


def _points(videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> Iterator[models.PointStruct]:
    for video, encoded in videos:
        yield make_point(video, encoded)


def _batch_size(videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> int:
    """Videos a request, so that the largest of them would fit as often."""
    largest = max(
        encoded.frame_embeds.numel() + (0 if encoded.video_embeds is None else encoded.video_embeds.numel())
        for _, encoded in videos
    )
    return min(64, max(1, _REQUEST_BYTES // (_BYTES_A_NUMBER * largest)))
