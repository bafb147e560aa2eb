"""An index in a Qdrant collection, for what one machine does not hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict

from qdrant_client import QdrantClient, models
from typing_extensions import override

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.filter_values import resolve_filter
from video_colbert.index.filters import Filter, parse_filter
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import FileFacts, IndexedVideo, MetadataValue
from video_colbert.index.metadata_columns import columns_in_words, filter_fields, new_metadata_fields
from video_colbert.index.passages.content_texts import ContentTexts
from video_colbert.index.passages.passage_store import PassageStore
from video_colbert.index.passages.reading_store import ReadingStore
from video_colbert.index.qdrant.adding import add_videos
from video_colbert.index.qdrant.changes import remove_videos, set_payload
from video_colbert.index.qdrant.collection import CollectionDescription, QdrantCollection, pages
from video_colbert.index.qdrant.filters import to_qdrant_filter
from video_colbert.index.qdrant.location import parse_qdrant_uri
from video_colbert.index.qdrant.passages.passage_collection import QdrantPassages
from video_colbert.index.qdrant.passages.reading_collection import QdrantReadings
from video_colbert.index.qdrant.passages.side_collection import any_of
from video_colbert.index.qdrant.points import METADATA, from_payload, metadata_to_payload
from video_colbert.index.qdrant.removal import contents_without
from video_colbert.index.qdrant.search import CollectionSearcher, SearchRequest
from video_colbert.index.qdrant.stored_tokens import sampled_tokens, tokens_of
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.search.interaction import check_interaction, check_level_scoring
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.scoring import check_queries
from video_colbert.index.video_index import VideoIndex, check_model, forget_notes
from video_colbert.index.windows import WindowSettings


class QdrantIndex(VideoIndex):
    """A searchable collection of encoded videos on a Qdrant server or cluster, or in a folder in local mode.

    The tokens are float16 there, as in a local index, and the score of each hit is computed from them by the same
    functions, so both give the same scores. Which videos are scored is decided by their pooled vectors: each shard
    takes the `candidates` nearest ones.

    Attributes:
        location: the address of the collection, without options.
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
        windows: how long videos are cut; None for videos as a whole.

    Example:
        >>> from pathlib import Path
        >>> address = f"qdrant+local://{Path.cwd()}/my_collection"
        >>> index = QdrantIndex.create(address, model=encoder.reference, num_frames=encoder.num_frames)
        >>> [hits] = index.search(encoder.encode_queries(["a dog catches a ball"]), top_k=5)
        >>> len(index), len(hits)
        (0, 0)
    """

    # The server compares pooled vectors and, in a cluster, tokens, which have no weights there.
    interactions = ("mean_max_sim",)
    level_scorings = ("sum",)

    def __init__(self, collection: QdrantCollection, description: CollectionDescription) -> None:
        self.location = str(collection.location)
        self.model = description.model
        self.num_frames = description.num_frames
        self.windows = description.windows
        self._collection = collection
        self._description = description
        options = description.options
        self._texts = ContentTexts(QdrantReadings(collection, options), QdrantPassages(collection, options))

    @staticmethod
    def exists(uri: str, *, client: QdrantClient | None = None) -> bool:
        """Whether there is a collection of this name.

        Raises:
            IndexStoreError: the address is not valid, the server cannot be reached, or the folder is in use by
                another process.
        """
        return QdrantCollection.is_there(parse_qdrant_uri(uri), client)

    @classmethod
    def create(
        cls,
        uri: str,
        *,
        model: ModelReference,
        num_frames: int | None,
        windows: WindowSettings | None = None,
        client: QdrantClient | None = None,
    ) -> QdrantIndex:
        """Makes an empty index.

        Args:
            uri: `qdrant://host:6333/collection` or `qdrant+local:///folder`, with options as `parse_qdrant_uri`.
            model: which weights will make the vectors.
            num_frames: frames that will be sampled from each video; None for as many as there are.
            windows: how long videos will be cut; None for videos as a whole.
            client: a client to use in place of one made from the address.

        Raises:
            IndexStoreError: there is a collection of that name, the server cannot be reached or is too old, or the
                folder cannot be opened or is in use by another process.
        """
        location = parse_qdrant_uri(uri)
        collection = QdrantCollection(location, client)
        with ExitStack() as undo, collection.operation():
            undo.callback(collection.close)
            collection.check_server()
            collection.create(CollectionDescription(model, num_frames, location.options, windows))
            index = cls(collection, collection.describe())
            undo.pop_all()
        return index

    @classmethod
    def open(cls, uri: str, *, model: ModelReference | None = None, client: QdrantClient | None = None) -> QdrantIndex:
        """Opens an index.

        Args:
            uri: `qdrant://host:6333/collection` or `qdrant+local:///folder`, with options as `parse_qdrant_uri`.
            model: the model that will be used with it, checked against the one that made it.
            client: a client to use in place of one made from the address.

        Raises:
            ModelMismatchError: it was made by another model or another revision.
            IndexStoreError: there is no such collection, it is not an index of this release, it has other options
                than the address names, the server cannot be reached or is too old, or the folder cannot be opened or
                is in use by another process.
        """
        location = parse_qdrant_uri(uri)
        collection = QdrantCollection.find(location, client)
        with ExitStack() as undo, collection.operation():
            undo.callback(collection.close)
            collection.check_server()
            index = cls(collection, collection.describe())
            if model is not None:
                check_model(index, model)
            undo.pop_all()
        return index

    @override
    def __len__(self) -> int:
        with self._collection.operation():
            return self._collection.client.count(self._collection.name, exact=True).count

    @property
    @override
    def videos(self) -> tuple[IndexedVideo, ...]:
        with self._collection.operation():
            return tuple(from_payload(record.payload, self.location) for record in self._collection.scroll(None, True))

    @override
    def videos_where(self, condition: Filter | str) -> tuple[IndexedVideo, ...]:
        parsed = parse_filter(condition) if isinstance(condition, str) else condition
        with self._collection.operation():
            where = self._to_qdrant(parsed, self._collection.describe())
            return tuple(from_payload(found.payload, self.location) for found in self._collection.scroll(where, True))

    @property
    @override
    def levels(self) -> Collection[str]:
        with self._collection.operation():
            return self._described().dimensions

    @override
    def videos_of_contents(self, contents: Collection[str]) -> Mapping[str, IndexedVideo]:
        found: dict[str, IndexedVideo] = {}
        with self._collection.operation():
            for page in pages(sorted(contents)):
                for record in self._collection.scroll(any_of("digest", page), True):
                    video = from_payload(record.payload, self.location)
                    first = found.setdefault(video.digest, video)
                    if (video.path, video.start or 0.0) < (first.path, first.start or 0.0):
                        found[video.digest] = video
        return found

    @override
    def tokens_of(self, ids: Sequence[str]) -> LevelBags:
        with self._collection.operation():
            return tokens_of(self._collection, self._described(), ids)

    @override
    def sampled_tokens(self, count: int) -> LevelBags | None:
        with self._collection.operation():
            return sampled_tokens(self._collection, self._described(), count)

    @property
    @override
    def columns(self) -> Mapping[str, str]:
        with self._collection.operation():
            return columns_in_words(self._collection.describe().columns)

    @property
    @override
    def num_bytes(self) -> int | None:
        return None

    @override
    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]], *, renews: bool = False) -> None:
        if videos:
            with self._collection.operation():
                self._description = add_videos(self._collection, self._texts, videos, renews=renews)

    @override
    def move(self, paths: Mapping[str, str]) -> None:
        with self._collection.operation():
            set_payload(self._collection, {video_id: {"path": path} for video_id, path in paths.items()})

    @override
    def set_copies(self, copies: Mapping[str, Sequence[str]]) -> None:
        with self._collection.operation():
            set_payload(self._collection, {video_id: {"copies": list(paths)} for video_id, paths in copies.items()})

    @property
    @override
    def notes(self) -> IndexNotes:
        with self._collection.operation():
            return self._collection.describe().notes

    @override
    def set_notes(self, notes: IndexNotes) -> None:
        with self._collection.operation():
            self._collection.set_notes(notes)

    @override
    def set_facts(self, facts: Mapping[str, FileFacts]) -> None:
        with self._collection.operation():
            set_payload(self._collection, {video_id: asdict(of_file) for video_id, of_file in facts.items()})

    @override
    def check_metadata(self, values: Iterable[Mapping[str, MetadataValue]]) -> None:
        with self._collection.operation():
            new_metadata_fields(self._collection.describe().columns, values)

    @override
    def set_metadata(self, values: Mapping[str, Mapping[str, MetadataValue | None]]) -> None:
        if not values:
            return
        present = [{name: value for name, value in row.items() if value is not None} for row in values.values()]
        with self._collection.operation():
            self._collection.add_columns(new_metadata_fields(self._collection.describe().columns, present))
            rows = {video_id: dict(metadata_to_payload(row)) for video_id, row in values.items()}
            set_payload(self._collection, rows, METADATA)

    @property
    @override
    def readings(self) -> ReadingStore:
        return self._texts.readings

    @property
    @override
    def passages(self) -> PassageStore:
        return self._texts.passages

    @override
    def remove(self, ids: Collection[str]) -> int:
        with self._collection.operation():
            # First, since nobody knows whose they were once the videos are gone.
            self._texts.remove(contents_without(self._collection, ids))
            return remove_videos(self._collection, ids)

    @override
    def forget(self, ids: Collection[str]) -> Sequence[str]:
        forget_notes(self, ids)
        self.remove(ids)
        if not ids:
            self._texts.remove_others({video.digest for video in self.videos})
        return [
            f"files of {self.location} that Qdrant has not rewritten yet, which it does when a fifth of a segment is "
            "deleted, and snapshots that were taken of it"
        ]

    @override
    def search(
        self,
        queries: EncodedQueries,
        *,
        top_k: int = 10,
        where: Filter | str | None = None,
        group_windows: bool = True,
    ) -> list[list[SearchHit]]:
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        condition = parse_filter(where) if isinstance(where, str) else where
        with self._collection.operation():
            # Columns may be new at any time; the vectors never change once they are there.
            if condition is not None or not self._description.dimensions:
                self._description = self._collection.describe()
            allowed = None
            if condition is not None:
                allowed = self._to_qdrant(condition, self._description)
            if not self._description.dimensions:
                return [[] for _ in queries.texts]
            check_interaction(queries.interaction, self.interactions, f"the index at {self.location}")
            check_level_scoring(queries.level_scoring, self.level_scorings, f"the index at {self.location}")
            check_queries(queries, self._description.dimensions, f"the index at {self.location}")
            request = SearchRequest(top_k, allowed, "path" if group_windows else None)
            return CollectionSearcher(self._collection, self._description).search(queries, request)

    @property
    @override
    def options(self) -> Mapping[str, object]:
        return asdict(self._description.options)

    @property
    @override
    def calibration(self) -> Calibration | None:
        return None

    @property
    @override
    def needs_calibration(self) -> bool:
        return False

    @override
    def calibrate(self, queries: EncodedQueries | None = None) -> Calibration:
        raise IndexStoreError(
            f"the index at {self.location} has nothing to calibrate; how many candidates a search takes is an option "
            "of its address, such as ?candidates=2000"
        )

    @override
    def close(self) -> None:
        self._collection.close()

    def _described(self) -> CollectionDescription:
        """What the collection holds; its levels never change once they are there."""
        if not self._description.dimensions:
            self._description = self._collection.describe()
        return self._description

    def _to_qdrant(self, condition: Filter, description: CollectionDescription) -> models.Filter:
        fields = filter_fields(description.columns)
        return to_qdrant_filter(resolve_filter(condition, fields, description.notes.folders), fields, self._collection)
