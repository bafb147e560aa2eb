"""Readings in a Qdrant collection of their own, points without vectors."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from qdrant_client import models
from typing_extensions import override

from video_colbert.index.passages.reading_rows import reading_of_row, reading_row, source_of
from video_colbert.index.passages.reading_store import Reading, ReadingStore
from video_colbert.index.qdrant.changes import replace_points
from video_colbert.index.qdrant.collection import QdrantCollection, pages
from video_colbert.index.qdrant.location import CollectionOptions
from video_colbert.index.qdrant.passages.side_collection import SideCollection, any_of
from video_colbert.index.qdrant.points import point_id
from video_colbert.text.passages import Source

_HOLDER = "collection of readings"
# Readings of an hour of speech are some hundred kilobytes.
_READ_AT_ONCE = 32


class QdrantReadings(ReadingStore):
    """The readings of one index; what `keep` was given is there when it returns.

    Args:
        videos: the collection of the index's videos.
        options: how it is laid out.
    """

    def __init__(self, videos: QdrantCollection, options: CollectionOptions) -> None:
        self._videos = videos
        self._side = SideCollection(videos, "readings", options)
        self._place = str(videos.location)

    @override
    def known(self) -> Mapping[tuple[str, Source], str]:
        return {key: str(settings) for key, settings in self._values("settings").items()}

    @override
    def problems(self) -> Mapping[tuple[str, Source], str]:
        return {key: problem for key, problem in self._values("problem").items() if problem is not None}

    @override
    def keep(self, readings: Sequence[Reading]) -> None:
        if not readings:
            return
        rows = {row["id"]: row for row in map(reading_row, readings)}
        points = [
            models.PointStruct(id=point_id(f"reading {key}"), vector={}, payload=row) for key, row in rows.items()
        ]
        with self._side.operation():
            if self._side.described() is None:
                keyword = models.PayloadSchemaType.KEYWORD
                self._side.create({}, {"digest": keyword})
                # Whose readings leave with a video is asked of the videos; indexes of earlier releases lack it.
                self._videos.index_payload("digest", keyword)
            replace_points(self._side.collection, points, [len(json.dumps(point.payload)) for point in points])

    @override
    def read(self, digests: Collection[str] | None = None) -> Iterator[Reading]:
        with self._side.operation():
            is_there = self._side.described() is not None
            collection = self._side.collection
        if not is_there:
            return
        conditions = [None] if digests is None else [any_of("digest", page) for page in pages(sorted(digests))]
        for where in conditions:
            records = collection.scroll(where, True, page=_READ_AT_ONCE)
            while True:
                # Between two pages others may use the connection.
                with self._side.operation():
                    rows = [record.payload or {} for record in islice(records, _READ_AT_ONCE)]
                if not rows:
                    break
                yield from (reading_of_row(row, self._place, _HOLDER) for row in rows)

    @override
    def remove(self, digests: Collection[str]) -> None:
        with self._side.operation():
            if digests and self._side.described() is not None:
                self._side.delete_where("digest", digests)

    @override
    def forget(self, digests: Collection[str]) -> None:
        # The server has no earlier versions.
        self.remove(digests)

    def _values(self, name: str) -> dict[tuple[str, Source], Any]:
        """A value of each reading, by digest and source."""
        with self._side.operation():
            if self._side.described() is None:
                return {}
            rows = [record.payload or {} for record in self._side.collection.scroll(None, ["digest", "source", name])]
        return {(row["digest"], source_of(row["source"], self._place, _HOLDER)): row[name] for row in rows}
