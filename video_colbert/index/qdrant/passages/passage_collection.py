"""Passages in a Qdrant collection of their own, with the tokens of a text model and their words.

The collection says by which text model its tokens are, and is made anew for another one.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from qdrant_client import models
from typing_extensions import override

from video_colbert.encoding.encoded import TEXT_LEVEL
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.index.passages.passage_store import FoundPassage, PassageStore, StoredPassage
from video_colbert.index.qdrant.changes import batch_size, upload_points
from video_colbert.index.qdrant.collection import CollectionDescription, PayloadIndex, QdrantCollection, pages
from video_colbert.index.qdrant.location import CollectionOptions
from video_colbert.index.qdrant.passages.passage_points import WORDS, make_passage_point, passage_point_id
from video_colbert.index.qdrant.passages.side_collection import SideCollection
from video_colbert.text.passages import SOURCES, Source

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.text.text_model import EncodedText

_PAYLOAD_INDEXES: Mapping[str, PayloadIndex] = {
    "content": models.PayloadSchemaType.KEYWORD,
    "source": models.PayloadSchemaType.KEYWORD,
    # The words are told apart before they get there; so what tells them apart is the only one that local mode knows.
    WORDS: models.TextIndexParams(
        type=models.TextIndexType.TEXT,
        tokenizer=models.TokenizerType.WORD,
        phrase_matching=True,
        scoring=models.TextScoringParams(type=models.TextScoringType.BM25),
    ),
}


class QdrantPassages(PassageStore):
    """The passages of one index.

    Args:
        videos: the collection of the index's videos.
        options: how it is laid out.
    """

    def __init__(self, videos: QdrantCollection, options: CollectionOptions) -> None:
        self._options = options
        self._side = SideCollection(videos, "passages", options)

    @override
    def __len__(self) -> int:
        with self._side.operation():
            if self._side.described() is None:
                return 0
            collection = self._side.collection
            return collection.client.count(collection.name, exact=True).count

    @property
    @override
    def model(self) -> ModelReference | None:
        with self._side.operation():
            described = self._side.described()
        return None if described is None else ModelReference(described["model"], described["revision"])

    @property
    @override
    def sources(self) -> tuple[Source, ...]:
        with self._side.operation():
            if self._side.described() is None:
                return ()
            collection = self._side.collection
            found = {hit.value for hit in collection.client.facet(collection.name, "source", exact=True).hits}
        return tuple(source for source in SOURCES if source in found)

    @override
    def keys(self) -> set[str]:
        with self._side.operation():
            if self._side.described() is None:
                return set()
            return {(record.payload or {})["key"] for record in self._side.collection.scroll(None, ["key"])}

    @override
    def prepare(self, model: ModelReference) -> None:
        if self.model == model:
            return
        described = {"model": model.name, "revision": model.revision, "dimensions": []}
        with self._side.operation():
            self._side.drop()
            self._side.create(described, _PAYLOAD_INDEXES)

    @override
    def add(self, passages: Sequence[tuple[StoredPassage, EncodedText]]) -> None:
        if not passages:
            return
        with self._side.operation():
            described, collection = self._side.described(), self._side.collection
            if described is None:
                raise RuntimeError("prepare makes the collection of passages before any is added")
            if not described["dimensions"]:
                collection.add_vectors({TEXT_LEVEL: passages[0][1].embeds.shape[1]}, self._options)
            points = {
                passage_point_id(stored.key): functools.partial(make_passage_point, stored, encoded)
                for stored, encoded in passages
            }
            upload_points(collection, points, batch_size(encoded.embeds.numel() for _, encoded in passages))

    @override
    def finish(self) -> None:
        # The server keeps its index of words up to date by itself.
        return

    @override
    def remove(self, keys: Collection[str]) -> None:
        with self._side.operation():
            if keys and self._side.described() is not None:
                collection = self._side.collection
                for page in pages(sorted(map(passage_point_id, keys))):
                    collection.client.delete(collection.name, models.PointIdsList(points=list(page)))

    @override
    def remove_contents(self, contents: Collection[str]) -> None:
        with self._side.operation():
            if contents and self._side.described() is not None:
                self._side.delete_where("content", contents)

    @override
    def forget_contents(self, contents: Collection[str]) -> None:
        # The server has no earlier versions.
        self.remove_contents(contents)

    @override
    def search(
        self, queries: EncodedQueries, source: Source, *, count: int, contents: Collection[str] | None = None
    ) -> list[list[FoundPassage]]:
        from video_colbert.index.qdrant.passages.passage_search import find_passages

        with self._side.operation():
            described = self._side.described()
            if described is None or not described["dimensions"] or (contents is not None and not contents):
                return [[] for _ in queries.texts]
            model = ModelReference(described["model"], described["revision"])
            held = CollectionDescription(model, None, self._options, dimensions=dict(described["dimensions"]))
            return find_passages(self._side.collection, held, queries, source, count, contents)

    @override
    def search_keywords(
        self,
        text: str,
        *,
        count: int,
        sources: Collection[Source] | None = None,
        contents: Collection[str] | None = None,
    ) -> list[FoundPassage]:
        from video_colbert.index.qdrant.passages.keyword_search import find_keywords

        with self._side.operation():
            described = self._side.described()
            if described is None or not described["dimensions"] or (contents is not None and not contents):
                return []
            return find_keywords(self._side.collection, text, count, sources, contents)
