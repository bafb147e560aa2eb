"""An index in a Qdrant collection, for what one machine does not hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing

import pyarrow as pa
from qdrant_client import QdrantClient

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.pretrained import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.filter_values import resolve_filter
from video_colbert.index.filters import Filter, parse_filter
from video_colbert.index.hits import SearchHit
from video_colbert.index.indexed_video import RECORD_FIELDS, IndexedVideo, MetadataValue
from video_colbert.index.metadata_columns import filter_fields, new_metadata_fields
from video_colbert.index.qdrant.changes import remove_replaced, remove_videos, scroll_points, set_payload
from video_colbert.index.qdrant.collection import (
    CollectionDescription,
    check_queries_fit,
    check_same_model,
    check_server,
    check_videos_fit,
    connect,
    create_collection,
    read_description,
)
from video_colbert.index.qdrant.errors import clear_errors
from video_colbert.index.qdrant.filters import METADATA, add_columns, read_columns, to_qdrant_filter
from video_colbert.index.qdrant.location import QdrantLocation, parse_qdrant_uri
from video_colbert.index.qdrant.points import from_payload
from video_colbert.index.qdrant.search import CollectionSearcher, SearchRequest
from video_colbert.index.qdrant.upload import upload_videos


class QdrantIndex:
    """A searchable collection of encoded videos on a Qdrant server or cluster.

    The tokens are float16 there, as in a local index, and the score of each hit is computed from them by the same
    functions, so both give the same scores. Which videos are scored is decided by their pooled vectors: each shard
    takes the `candidates` nearest ones.

    Attributes:
        location: the address of the collection.
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.

    Example:
        index = QdrantIndex.open("qdrant://host:6333/videos", model=encoder.reference)
        hits = index.search(encoder.encode_queries(["a dog catches a ball"]), top_k=5)[0]
    """

    def __init__(
        self,
        client: QdrantClient,
        location: QdrantLocation,
        model: ModelReference,
        num_frames: int | None,
        description: CollectionDescription | None,
    ) -> None:
        self.location = str(location)
        self._place = location
        self.model = model
        self.num_frames = num_frames
        self._client = client
        self._description = description

    @staticmethod
    def exists(uri: str, *, client: QdrantClient | None = None) -> bool:
        """Whether there is a collection of this name.

        Raises:
            IndexStoreError: the address is not valid, or the server cannot be reached.
        """
        location = parse_qdrant_uri(uri)
        with clear_errors(str(location)):
            if client is not None:
                return client.collection_exists(location.collection)
            with closing(connect(location)) as own_client:
                return own_client.collection_exists(location.collection)

    @classmethod
    def create(
        cls, uri: str, *, model: ModelReference, num_frames: int | None, client: QdrantClient | None = None
    ) -> QdrantIndex:
        """Prepares an index; its collection is made when the first videos are added, which tell the size of a token.

        Args:
            uri: `qdrant://host:6333/collection`, with options as `parse_qdrant_uri`.
            model: which weights will make the vectors.
            num_frames: frames that will be sampled from each video; None for as many as there are.
            client: a client to use in place of one made from the address.

        Raises:
            IndexStoreError: there is a collection of that name, or the server cannot be reached or is too old.
        """
        location = parse_qdrant_uri(uri)
        client = client or connect(location)
        with clear_errors(str(location)):
            check_server(client, location)
            if client.collection_exists(location.collection):
                raise IndexStoreError(f"there is a collection at {location} already; open it or choose another name")
        return cls(client, location, model, num_frames, None)

    @classmethod
    def open(cls, uri: str, *, model: ModelReference | None = None, client: QdrantClient | None = None) -> QdrantIndex:
        """Opens an index.

        Args:
            uri: `qdrant://host:6333/collection`, with options as `parse_qdrant_uri`.
            model: the model that will be used with it, checked against the one that made it.
            client: a client to use in place of one made from the address.

        Raises:
            ModelMismatchError: it was made by another model or another revision.
            IndexStoreError: there is no such collection, it is not an index of this release, it has other options
                than the address names, or the server cannot be reached or is too old.
        """
        location = parse_qdrant_uri(uri)
        client = client or connect(location)
        with clear_errors(str(location)):
            check_server(client, location)
            description = read_description(client, location)
        index = cls(client, location, description.model, description.num_frames, description)
        if model is not None:
            index.check_model(model)
        return index

    def __len__(self) -> int:
        if self._description is None:
            return 0
        with clear_errors(self.location):
            return self._client.count(self._place.collection, exact=True).count

    @property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """What is stored, by point id; reads the whole list from the server each time."""
        if self._description is None:
            return ()
        with clear_errors(self.location):
            records = scroll_points(self._client, self._place, None, True)
            return tuple(from_payload(record.payload, self.location) for record in records)

    def check_model(self, model: ModelReference) -> None:
        """Checks that vectors of this model can be compared with those stored.

        Raises:
            ModelMismatchError: the index was made by another model or another revision.
        """
        check_same_model(self._place, self.model, model)

    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> None:
        """Adds videos; interrupted and run again, it goes on where it stopped.

        What is there already (same content and window) is left; another content at a known path and window takes
        the old one's place.

        Args:
            videos: what to know of each video, and its tokens.

        Raises:
            ModelMismatchError: the tokens have another size or other levels than those stored.
            IndexStoreError: metadata does not fit its columns; or the server cannot be reached, or refuses them,
                and what was uploaded stays.
        """
        of_places = {(video.path, video.start, video.end): (video, encoded) for video, encoded in videos}
        new = list({video.id: (video, encoded) for video, encoded in of_places.values()}.values())
        if not new:
            return
        with clear_errors(self.location):
            description = self._agreed_description(new[0][1])
            for _, encoded in new:
                check_videos_fit(self._place, description, encoded.frame_embeds.shape[1], _levels(encoded))
            columns = new_metadata_fields(self._columns(), [video.metadata for video, _ in new])
            if self._description is None:
                create_collection(self._client, self._place, description)
                self._description = description
            add_columns(self._client, self._place, columns)
            upload_videos(self._client, self._place, new)
            remove_replaced(self._client, self._place, [video for video, _ in new])

    def move(self, paths: Mapping[str, str]) -> None:
        """Records new paths of files that were moved or renamed.

        Args:
            paths: id of a stored video to the absolute path it has now; ids that are not stored are ignored.

        Raises:
            IndexStoreError: the server cannot be reached or refuses it.
        """
        if self._description is None or not paths:
            return
        with clear_errors(self.location):
            set_payload(self._client, self._place, {video_id: {"path": path} for video_id, path in paths.items()})

    def check_metadata(self, values: Iterable[Mapping[str, MetadataValue]]) -> None:
        """Checks, before any work, that metadata can be stored here.

        Raises:
            IndexStoreError: a name or a value cannot be stored, or does not fit the column of that name; or the
                server cannot be reached.
        """
        with clear_errors(self.location):
            new_metadata_fields(self._columns(), values)

    def set_metadata(self, values: Mapping[str, Mapping[str, MetadataValue | None]]) -> None:
        """Sets metadata of videos that are stored.

        Args:
            values: by id, the value of each column, and None where it shall have no value. Other columns are left
                as they are, and ids that are not stored passed over.

        Raises:
            IndexStoreError: as `add`.
        """
        if self._description is None or not values:
            return
        present = [{name: value for name, value in row.items() if value is not None} for row in values.values()]
        with clear_errors(self.location):
            add_columns(self._client, self._place, new_metadata_fields(self._columns(), present))
            set_payload(self._client, self._place, {video_id: dict(row) for video_id, row in values.items()}, METADATA)

    def remove(self, ids: Collection[str]) -> int:
        """Removes videos.

        Args:
            ids: ids of videos.

        Returns:
            How many of them were there.

        Raises:
            IndexStoreError: the server cannot be reached or refuses it.
        """
        if self._description is None:
            return 0
        with clear_errors(self.location):
            return remove_videos(self._client, self._place, ids)

    def search(
        self,
        queries: EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        level_weights: Mapping[str, float] | None = None,
        group_windows: bool = True,
    ) -> list[list[SearchHit]]:
        """Finds the best videos for each query among the candidates that its pooled vector selects.

        Args:
            queries: from the encoder of the model that made this index.
            top_k: hits a query, at most.
            where: a condition that hits must satisfy, such as "year >= 2020"; `filters.py` describes the language.
                Candidates are chosen among the videos that satisfy it. Texts have no order here, only = and in.
            level_weights: weight of each level in the score; 1 where none is given.
            group_windows: of the windows of one video, give the best only.

        Returns:
            For each query its hits, best first; of equal scores, by path and time.

        Raises:
            ValueError: `top_k` is below 1, the weights do not fit the model, or a query has no token that counts.
            FilterError: the condition is not understood, or asks for a column that the index does not have.
            ModelMismatchError: the queries' tokens have another size than those stored.
            IndexStoreError: the server cannot be reached or refuses the query.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        condition = parse_filter(where) if isinstance(where, str) else where
        if self._description is None:
            return [[] for _ in queries.texts]
        check_queries_fit(self._place, self._description, queries.query_embeds.shape[-1], queries.score_levels)
        with clear_errors(self.location):
            allowed = None
            if condition is not None:
                allowed = to_qdrant_filter(resolve_filter(condition, filter_fields(self._columns())))
            request = SearchRequest(top_k, allowed, level_weights, group_windows)
            return CollectionSearcher(self._client, self._place, self._description).search(queries, request)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _agreed_description(self, encoded: EncodedVideo) -> CollectionDescription:
        """What the collection says of itself, or will say once it is made for videos like this one."""
        if self._description is None and self._client.collection_exists(self._place.collection):
            # Another process made it meanwhile.
            found = read_description(self._client, self._place)
            check_same_model(self._place, found.model, self.model)
            self._description = found
        return self._description or CollectionDescription(
            model=self.model,
            num_frames=self.num_frames,
            levels=_levels(encoded),
            dim=encoded.frame_embeds.shape[1],
            options=self._place.options,
        )

    def _columns(self) -> pa.Schema:
        return pa.schema(RECORD_FIELDS) if self._description is None else read_columns(self._client, self._place)


def _levels(encoded: EncodedVideo) -> tuple[str, ...]:
    return ("frame",) if encoded.video_embeds is None else ("frame", "video")
