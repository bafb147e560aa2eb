"""A collection of texts beside the collection of an index's videos, on the same server or in the same folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from grpc import RpcError
from qdrant_client import models
from qdrant_client.http.exceptions import UnexpectedResponse

from video_colbert.errors import IndexStoreError
from video_colbert.index.qdrant.collection import PayloadIndex, QdrantCollection, pages
from video_colbert.index.qdrant.location import CollectionOptions

_VERSION_KEY, _VERSION = "video_colbert_texts_version", 1
# Digests that a condition names: 70 bytes each, and a server refuses requests over 32 MB.
_MOST_CONTENTS = 300_000


class SideCollection:
    """A collection named after that of the videos; it is there from the first text on.

    Args:
        videos: the collection of the videos.
        kind: what is in it, as its name says.
        options: how the videos' collection is laid out, and so is this one.
    """

    def __init__(self, videos: QdrantCollection, kind: str, options: CollectionOptions) -> None:
        self._videos = videos
        self._kind = kind
        self._options = options

    def operation(self) -> AbstractContextManager[None]:
        """Requests that belong together, as `QdrantCollection.operation`."""
        return self._videos.operation()

    @property
    def collection(self) -> QdrantCollection:
        """The collection, whether it is there or not.

        Raises:
            IndexStoreError: the index is closed.
        """
        name = f"{self._videos.name}__{self._kind}"
        location = dataclasses.replace(self._videos.location, collection=name)
        return QdrantCollection(location, self._videos.client)

    def described(self) -> Mapping[str, Any] | None:
        """What the collection says of itself; None where there is none.

        Raises:
            IndexStoreError: another program or release made it.
        """
        collection = self.collection
        if not collection.exists():
            return None
        metadata = collection.client.get_collection(collection.name).config.metadata or {}
        if metadata.get(_VERSION_KEY) != _VERSION:
            raise IndexStoreError(
                f"the collection {collection.name} at {collection.location} is none of this release, and the index "
                f"keeps its {self._kind} under that name; delete or rename it, and index with the same sources again"
            )
        return metadata

    def create(self, described: Mapping[str, Any], indexes: Mapping[str, PayloadIndex]) -> None:
        """Makes the collection, without vectors, unless another process has made the same meanwhile.

        Args:
            described: what it says of itself.
            indexes: of its payload, by key.

        Raises:
            IndexStoreError: another process has made it meanwhile, and it says something else of itself.
        """
        collection, options = self.collection, self._options
        try:
            collection.client.create_collection(
                collection.name,
                vectors_config={},
                shard_number=options.shards,
                replication_factor=options.replicas,
                write_consistency_factor=options.write_consistency,
                metadata={_VERSION_KEY: _VERSION, **described},
            )
        # By HTTP, by gRPC, and in local mode.
        except (UnexpectedResponse, RpcError, ValueError):
            found = self.described()
            if found is None:
                raise
            if any(found.get(key) != value for key, value in described.items()):
                raise IndexStoreError(
                    f"another process has just made the collection {collection.name} at {collection.location} for "
                    "another model; run one at a time"
                ) from None
        for key, index in indexes.items():
            collection.index_payload(key, index)

    def drop(self) -> None:
        """Deletes the collection, if there is one."""
        collection = self.collection
        if collection.exists():
            collection.client.delete_collection(collection.name)

    def delete_where(self, key: str, values: Collection[str]) -> None:
        """Deletes the points of which a key of the payload has one of some values."""
        collection = self.collection
        for page in pages(sorted(values)):
            collection.client.delete(collection.name, models.FilterSelector(filter=any_of(key, page)))


def any_of(key: str, values: Sequence[str]) -> models.Filter:
    """A condition that holds where a key of the payload has one of some values."""
    return models.Filter(must=[models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))])


def passages_where(
    place: str,
    sources: Collection[str] | None,
    contents: Collection[str] | None,
    phrases: Sequence[Sequence[str]] = (),
) -> models.Filter | None:
    """A condition on passages; None for all.

    Args:
        place: of the index, for the error.
        sources: those that they come from; None for any.
        contents: those that they are of; None for any.
        phrases: runs of words that they hold.

    Raises:
        IndexStoreError: there are more contents than a request can name.
    """
    if contents is not None and len(contents) > _MOST_CONTENTS:
        raise IndexStoreError(
            f"the condition holds of {len(contents)} contents of the index at {place}, and a search of its texts "
            f"takes at most {_MOST_CONTENTS}; ask for fewer, or for pictures alone"
        )
    chosen = {"source": sources, "content": contents}
    must: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchAny(any=sorted(values)))
        for key, values in chosen.items()
        if values is not None
    ]
    must += [
        models.FieldCondition(key="words", match=models.MatchPhrase(phrase=" ".join(phrase))) for phrase in phrases
    ]
    return models.Filter(must=must) if must else None
