"""Indexes in the client's local mode, and windows to fill them with."""

from __future__ import annotations

import dataclasses

from qdrant_client import QdrantClient

from tests.index.made_clusters import MODEL
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.index import IndexedVideo
from video_colbert.index.qdrant.qdrant_index import QdrantIndex

URI = "qdrant://host:6333/videos"
Videos = list[tuple[IndexedVideo, EncodedVideo]]


def make_index(client: QdrantClient, videos: Videos, uri: str = URI) -> QdrantIndex:
    """An index of these videos, opened after they were added."""
    index = QdrantIndex.create(uri, model=MODEL, num_frames=12, client=client)
    index.add(videos)
    return QdrantIndex.open(uri, model=MODEL, client=client)


def windows_of(videos: Videos, length: float) -> Videos:
    """The videos as windows of the first of them, one after another."""
    path = videos[0][0].path
    return [
        (
            dataclasses.replace(video, path=path, digest="one", start=row * length, end=(row + 1) * length),
            encoded,
        )
        for row, (video, encoded) in enumerate(videos)
    ]
