"""A video as a point of a Qdrant collection: its id, its payload, its vectors."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from qdrant_client import models
from torch import Tensor

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue, video_from_row
from video_colbert.index.qdrant.layout import POOLED, level_vector
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.token_bags import TokenBags

METADATA = "metadata"
"""Name of the part of a point's payload that holds a video's metadata."""

# Numbers are sent as text with this many decimals: float16 is told apart by steps of 6e-8 at the least, so this is
# enough to get each number back exactly, in half the bytes of its full decimal expansion.
_DECIMALS = 8

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/video-colbert/indexed-video")


def point_id(video_id: str) -> str:
    """The UUID of a video; the same for the same content and window, wherever it is uploaded from."""
    return str(uuid.uuid5(_NAMESPACE, video_id))


def metadata_key(column: str) -> str:
    """Where a payload holds a metadata column; in quotes, a name may have spaces and signs."""
    return f'{METADATA}."{column}"'


def make_point(video: IndexedVideo, encoded: EncodedVideo) -> models.PointStruct:
    """A point with everything that is known of a video, tokens rounded to float16.

    Args:
        video: what to know of it.
        encoded: its tokens.
    """
    return models.PointStruct(id=point_id(video.id), vector=level_vectors(encoded.embeds), payload=to_payload(video))


def level_vectors(embeds: Mapping[str, Tensor]) -> dict[str, Any]:
    """The vectors of a point, by name: its tokens rounded to float16, and their pooled vector.

    Args:
        embeds: [tokens, D], by level, in the order of the collection's levels.
    """
    bags = LevelBags({level: TokenBags.from_bags([tokens.cpu()]) for level, tokens in embeds.items()})
    # A point has no vector for a level on which it has no tokens.
    held = {level: bag.tokens for level, bag in bags.items() if len(bag.tokens)}
    vectors: dict[str, Any] = {level_vector(level): _numbers(tokens) for level, tokens in held.items()}
    vectors[POOLED] = _numbers(bags.pooled()[0])
    return vectors


def to_payload(video: IndexedVideo) -> dict[str, Any]:
    """What is known of a video, ready for JSON."""
    return {
        "id": video.id,
        "path": video.path,
        "digest": video.digest,
        "duration": video.duration,
        "timestamps": list(video.timestamps),
        "start": video.start,
        "end": video.end,
        **asdict(video.facts),
        METADATA: metadata_to_payload(video.metadata),
    }


def metadata_to_payload(values: Mapping[str, MetadataValue | None]) -> dict[str, MetadataValue | None]:
    """Metadata ready for JSON, which has no NaN: that is no value."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}


def from_payload(payload: Mapping[str, Any] | None, place: str) -> IndexedVideo:
    """The video that a payload describes.

    Raises:
        IndexStoreError: it does not describe one, so another program wrote it.
    """
    try:
        row = dict(payload or {})
        return video_from_row(row, row[METADATA])
    except (KeyError, TypeError, AttributeError) as error:
        raise IndexStoreError(
            f"{place} holds a point that does not describe a video ({error!r} is missing)"
        ) from error


def _numbers(tensor: Tensor) -> Any:
    return np.round(tensor.numpy().astype(np.float64), _DECIMALS).tolist()
