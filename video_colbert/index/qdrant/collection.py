"""A Qdrant collection of videos: the connection to it, what it says of itself, and its points."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
from qdrant_client import QdrantClient, models

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import COPIES_FIELD, FACT_FIELDS, RECORD_FIELDS
from video_colbert.index.qdrant.errors import clear_errors
from video_colbert.index.qdrant.layout import vector_configs, vector_placements
from video_colbert.index.qdrant.local_folder import LocalFolder, holds_collections, open_folder
from video_colbert.index.qdrant.location import API_KEY_VARIABLE, CollectionOptions, QdrantLocation
from video_colbert.index.qdrant.points import metadata_key
from video_colbert.index.windows import WindowSettings

COLLECTION_SCHEMA_VERSION = 2

# The first server that knows the memory placements; an older one would silently ignore them.
_OLDEST_SERVER = (1, 20)
# Records or operations in one request.
_PAGE = 500
PayloadIndex: TypeAlias = models.PayloadSchemaType | models.KeywordIndexParams | models.TextIndexParams

_COLUMN_PREFIX = "column:"
_NOTES = "notes"
_COLUMN_TYPES = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
_PAYLOAD_INDEXES = {
    "string": models.PayloadSchemaType.KEYWORD,
    "int64": models.PayloadSchemaType.INTEGER,
    "double": models.PayloadSchemaType.FLOAT,
    "bool": models.PayloadSchemaType.BOOL,
}


@dataclass(frozen=True)
class CollectionDescription:
    """What a collection says of itself.

    Attributes:
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
        options: how it is laid out.
        windows: how long videos are cut; None for videos as a whole.
        dimensions: numbers in a token, by level; empty until the first videos are stored.
        columns: what is known of each video: the columns of every index, and metadata.
        notes: on what was indexed.
    """

    model: ModelReference
    num_frames: int | None
    options: CollectionOptions
    windows: WindowSettings | None = None
    dimensions: Mapping[str, int] = dataclasses.field(default_factory=dict)
    columns: pa.Schema = pa.schema(RECORD_FIELDS)  # noqa: RUF009 (a schema cannot be changed)
    notes: IndexNotes = dataclasses.field(default_factory=IndexNotes)


class QdrantCollection:
    """One collection, on a server or in a folder in local mode.

    Args:
        location: where it is, and the options of the connection.
        client: a client to use in place of one made from the location; closing it is left to its owner.

    Raises:
        IndexStoreError: a folder is in use by another process, or cannot be opened.

    Attributes:
        location: as given.
        name: its name on the server.
    """

    def __init__(self, location: QdrantLocation, client: QdrantClient | None = None) -> None:
        self.location = location
        self.name = location.collection
        self._folder: LocalFolder | None = None
        self._is_owner = client is None
        if client is None and location.folder is not None:
            self._folder = open_folder(location.folder)
            client = self._folder.client
        self._client: QdrantClient | None = client or _connect(location)

    @classmethod
    def find(cls, location: QdrantLocation, client: QdrantClient | None = None) -> QdrantCollection:
        """The connection to a collection that should be there; for this no folder is made.

        Raises:
            IndexStoreError: there is no such folder; otherwise as `QdrantCollection`.
        """
        if client is None and location.folder is not None and not holds_collections(location.folder):
            raise _no_index(location)
        return cls(location, client)

    @staticmethod
    def is_there(location: QdrantLocation, client: QdrantClient | None = None) -> bool:
        """Whether there is a collection of this name; a folder that is not there is not made.

        Raises:
            IndexStoreError: the server cannot be reached, or a folder is in use by another process.
        """
        if client is None and location.folder is not None and not holds_collections(location.folder):
            return False
        collection = QdrantCollection(location, client)
        try:
            with collection.operation():
                return collection.exists()
        finally:
            collection.close()

    @property
    def client(self) -> QdrantClient:
        """The client that requests go through.

        Raises:
            IndexStoreError: the collection is closed.
        """
        if self._client is None:
            raise IndexStoreError(f"the index at {self.location} is closed; open it again")
        return self._client

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Requests that belong together: errors become sentences, and local mode serves one thread at a time."""
        alone: AbstractContextManager[Any] = nullcontext() if self._folder is None else self._folder.lock
        with alone, clear_errors(str(self.location)):
            yield

    def check_server(self) -> None:
        """Checks that the server knows everything that is asked of it.

        Raises:
            IndexStoreError: it is too old.
        """
        version = self.client.info().version
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        if self.location.folder is None and numbers < _OLDEST_SERVER:
            needed = ".".join(map(str, _OLDEST_SERVER))
            raise IndexStoreError(f"{self.location}: the server is Qdrant {version}; {needed} or later is needed")

    def exists(self) -> bool:
        """Whether there is a collection of this name."""
        return self.client.collection_exists(self.name)

    def create(self, description: CollectionDescription) -> None:
        """Makes the collection, without vectors: the first videos tell their sizes.

        Args:
            description: what it will say of itself.

        Raises:
            IndexStoreError: there is one already.
        """
        if self.exists():
            raise IndexStoreError(f"there is a collection at {self.location} already; open it or choose another name")
        options = description.options
        self.client.create_collection(
            self.name,
            vectors_config={},
            shard_number=options.shards,
            replication_factor=options.replicas,
            write_consistency_factor=options.write_consistency,
            metadata={
                "video_colbert_schema_version": COLLECTION_SCHEMA_VERSION,
                "model": description.model.name,
                "revision": description.model.revision,
                "num_frames": description.num_frames,
                "options": dataclasses.asdict(options),
                "windows": None if description.windows is None else dataclasses.asdict(description.windows),
                "dimensions": [],
            },
        )
        # What is stored at a path is looked up with every upload.
        self.index_payload(
            "path", models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, memory=models.Memory.COLD)
        )
        self.index_payload(COPIES_FIELD.name, models.PayloadSchemaType.KEYWORD)
        for column in FACT_FIELDS:
            self.index_payload(column.name, _PAYLOAD_INDEXES[str(column.type)])

    def describe(self) -> CollectionDescription:
        """What the collection says of itself, checked against the options that the address names.

        Raises:
            IndexStoreError: there is no such collection, another program or release made it, or it has other options.
        """
        if not self.exists():
            raise _no_index(self.location)
        metadata = self.client.get_collection(self.name).config.metadata or {}
        version = metadata.get("video_colbert_schema_version")
        if version is None:
            raise IndexStoreError(f"{self.location} is a collection of another program; choose another name")
        if version != COLLECTION_SCHEMA_VERSION:
            raise IndexStoreError(
                f"{self.location} has schema version {version}, this release reads {COLLECTION_SCHEMA_VERSION}; index "
                "the videos again into another collection"
            )
        columns = [
            pa.field(name.removeprefix(_COLUMN_PREFIX), _COLUMN_TYPES[kind])
            for name, kind in metadata.items()
            if name.startswith(_COLUMN_PREFIX)
        ]
        description = CollectionDescription(
            model=ModelReference(metadata["model"], metadata["revision"]),
            num_frames=metadata["num_frames"],
            options=CollectionOptions(**metadata["options"]),
            windows=None if metadata["windows"] is None else WindowSettings(**metadata["windows"]),
            dimensions=dict(metadata["dimensions"]),
            columns=pa.schema([*RECORD_FIELDS, *columns]),
            notes=IndexNotes.from_text(metadata.get(_NOTES)),
        )
        for name, wanted in self.location.given.items():
            actual = getattr(description.options, name)
            if actual != wanted:
                raise IndexStoreError(
                    f"{self.location} was made with {name}={actual}, not {wanted}; leave the option out or make "
                    "another collection"
                )
        return description

    def add_vectors(self, dimensions: Mapping[str, int], options: CollectionOptions) -> None:
        """Makes the vectors of an empty collection; interrupted and repeated, it ends the same.

        Args:
            dimensions: numbers in a token, by level.
            options: of the collection.
        """
        for name, config in vector_configs(dimensions).items():
            self.client.create_vector_name(self.name, name, models.DenseVectorNameConfig(dense=config))
        self.client.update_collection(self.name, vectors_config=vector_placements(dimensions, options))
        recorded = [[level, size] for level, size in dimensions.items()]
        self.client.update_collection(self.name, metadata={"dimensions": recorded})

    def add_columns(self, columns: Sequence[pa.Field]) -> None:
        """Records new metadata columns and has the server index their values; repeating it changes nothing."""
        kinds = {column.name: str(column.type) for column in columns}
        for name, kind in kinds.items():
            self.index_payload(metadata_key(name), _PAYLOAD_INDEXES[kind])
        if kinds:
            recorded = {f"{_COLUMN_PREFIX}{name}": kind for name, kind in kinds.items()}
            self.client.update_collection(self.name, metadata=recorded)

    def set_notes(self, notes: IndexNotes) -> None:
        """Keeps notes in place of those that are there."""
        self.client.update_collection(self.name, metadata={_NOTES: notes.to_text()})

    def stored(self, points: Sequence[str]) -> set[str]:
        """Those of the points, by id, that are in the collection."""
        found: set[str] = set()
        for page in pages(points):
            records = self.client.retrieve(self.name, page, with_payload=False, with_vectors=False)
            found.update(str(record.id) for record in records)
        return found

    def scroll(
        self, where: models.Filter | None, payload: bool | list[str], *, page: int = _PAGE
    ) -> Iterator[models.Record]:
        """All points that satisfy a condition, without vectors, page by page.

        Args:
            where: the condition; None for all points.
            payload: whether their payload is wanted, or which parts of it.
            page: points that one request brings.
        """
        offset: Any = None
        while True:
            records, offset = self.client.scroll(
                self.name, scroll_filter=where, limit=page, offset=offset, with_payload=payload
            )
            yield from records
            if offset is None:
                return

    def close(self) -> None:
        """Closes the connection, if it was made here; a folder once nobody in this process uses it any more."""
        if self._client is not None and self._is_owner and self._folder is None:
            self._client.close()
        self._client = self._folder = None

    def index_payload(self, key: str, schema: PayloadIndex) -> None:
        """Has the server index a key of the payload; repeating it changes nothing."""
        # Of these indexes local mode imitates that of texts alone, and warns of each other.
        if self.location.folder is None or isinstance(schema, models.TextIndexParams):
            self.client.create_payload_index(self.name, key, schema)


def pages(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Names in parts that one request takes."""
    for first in range(0, len(names), _PAGE):
        yield names[first : first + _PAGE]


def _no_index(location: QdrantLocation) -> IndexStoreError:
    return IndexStoreError(f"there is no index at {location}; make one with `video-colbert index`")


def _connect(location: QdrantLocation) -> QdrantClient:
    """A client for the server; nothing is sent yet. The API key comes from the environment alone."""
    return QdrantClient(
        host=location.host,
        port=location.port,
        https=location.https,
        api_key=os.environ.get(API_KEY_VARIABLE),
        prefer_grpc=location.grpc_port is not None,
        grpc_port=location.grpc_port or 6334,
        timeout=location.timeout,
        # The version is checked by `check_server`, with an error in place of a warning.
        check_compatibility=False,
    )
