"""How a Qdrant collection of videos is laid out, and what it says of itself."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

from qdrant_client import QdrantClient, models

from video_colbert.encoding.pretrained import ModelReference
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index.qdrant.errors import API_KEY_VARIABLE
from video_colbert.index.qdrant.location import CollectionOptions, QdrantLocation, Quantization
from video_colbert.index.qdrant.points import LEVEL_VECTORS, POOLED

COLLECTION_SCHEMA_VERSION = 1

# The first server that knows the memory placements; an older one would silently ignore them.
_OLDEST_SERVER = (1, 20)


@dataclass(frozen=True)
class CollectionDescription:
    """What a collection says of itself.

    Attributes:
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.
        levels: "frame", or "frame" and "video".
        dim: numbers in a token.
        options: how it is laid out.
    """

    model: ModelReference
    num_frames: int | None
    levels: tuple[str, ...]
    dim: int
    options: CollectionOptions


def connect(location: QdrantLocation) -> QdrantClient:
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


def check_server(client: QdrantClient, location: QdrantLocation) -> None:
    """Checks that the server knows everything that is asked of it.

    Raises:
        IndexStoreError: it is too old.
    """
    version = client.info().version
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers < _OLDEST_SERVER:
        needed = ".".join(map(str, _OLDEST_SERVER))
        raise IndexStoreError(f"{location}: the server is Qdrant {version}; {needed} or later is needed")


def create_collection(client: QdrantClient, location: QdrantLocation, description: CollectionDescription) -> None:
    """Makes the collection.

    The tokens have no graph: they are only ever compared with the candidates that the pooled vectors select.

    Args:
        client: of the server.
        location: where; the name of the collection.
        description: its layout and what it will say of itself.
    """
    options = description.options
    placement = models.Memory.COLD if options.on_disk else models.Memory.CACHED
    tokens = models.VectorParams(
        size=description.dim,
        distance=models.Distance.DOT,
        datatype=models.Datatype.FLOAT16,
        memory=placement,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        hnsw_config=models.HnswConfigDiff(m=0),
        quantization_config=_quantization(options.token_quantization),
    )
    pooled = models.VectorParams(
        size=description.dim * len(description.levels),
        distance=models.Distance.DOT,
        datatype=models.Datatype.FLOAT16,
        # A graph search reads the pooled vectors in no order, so they are on disk only beside a copy in memory.
        memory=placement if options.quantization else models.Memory.CACHED,
        quantization_config=_quantization(options.quantization),
    )
    client.create_collection(
        location.collection,
        vectors_config={POOLED: pooled} | {LEVEL_VECTORS[level]: tokens for level in description.levels},
        shard_number=options.shards,
        replication_factor=options.replicas,
        write_consistency_factor=options.write_consistency,
        metadata=_to_metadata(description),
    )
    # What is stored at a path is looked up with every upload.
    client.create_payload_index(
        location.collection,
        "path",
        models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, memory=models.Memory.COLD),
    )


def read_description(client: QdrantClient, location: QdrantLocation) -> CollectionDescription:
    """What the collection says of itself, checked against the options that the address names.

    Raises:
        IndexStoreError: there is no such collection, another program or release made it, or it has other options.
    """
    if not client.collection_exists(location.collection):
        raise IndexStoreError(f"there is no index at {location}; make one with `video-colbert index`")
    metadata = client.get_collection(location.collection).config.metadata or {}
    version = metadata.get("video_colbert_schema_version")
    if version is None:
        raise IndexStoreError(f"{location} is a collection of another program; choose another name")
    if version != COLLECTION_SCHEMA_VERSION:
        raise IndexStoreError(
            f"{location} has schema version {version}, this release reads {COLLECTION_SCHEMA_VERSION}; index the "
            "videos again into another collection"
        )
    description = CollectionDescription(
        model=ModelReference(metadata["model"], metadata["revision"]),
        num_frames=metadata["num_frames"],
        levels=tuple(metadata["levels"]),
        dim=metadata["dim"],
        options=CollectionOptions(**metadata["options"]),
    )
    for name, wanted in location.given.items():
        actual = getattr(description.options, name)
        if actual != wanted:
            raise IndexStoreError(
                f"{location} was made with {name}={actual}, not {wanted}; leave the option out or make another "
                "collection"
            )
    return description


def check_same_model(location: QdrantLocation, stored: ModelReference, model: ModelReference) -> None:
    """Checks that vectors of a model can be compared with those stored.

    Raises:
        ModelMismatchError: they are of another model or another revision; the message names both.
    """
    if stored.revision != model.revision:
        raise ModelMismatchError(
            f"the index at {location} was made with {stored}, not with {model}; use that model or another collection"
        )


def check_videos_fit(
    location: QdrantLocation, description: CollectionDescription, dim: int, levels: tuple[str, ...]
) -> None:
    """Checks that videos with tokens of this size, of these levels, belong into the collection.

    Raises:
        ModelMismatchError: they do not; the message names both.
    """
    check_queries_fit(location, description, dim, levels)
    if levels != description.levels:
        raise _other_levels(location, description, levels)


def check_queries_fit(
    location: QdrantLocation, description: CollectionDescription, dim: int, levels: tuple[str, ...]
) -> None:
    """Checks that queries with tokens of this size, scored by these levels, can be asked of the collection.

    Raises:
        ModelMismatchError: they cannot; the message names both.
    """
    if dim != description.dim:
        raise ModelMismatchError(f"the index at {location} holds tokens of {description.dim} numbers, not of {dim}")
    if not set(levels) <= set(description.levels):
        raise _other_levels(location, description, levels)


def _other_levels(
    location: QdrantLocation, description: CollectionDescription, levels: tuple[str, ...]
) -> ModelMismatchError:
    held, given = (" and ".join(names) for names in (description.levels, levels))
    return ModelMismatchError(f"the index at {location} holds the levels {held}, not {given}")


def _to_metadata(description: CollectionDescription) -> dict[str, Any]:
    return {
        "video_colbert_schema_version": COLLECTION_SCHEMA_VERSION,
        "model": description.model.name,
        "revision": description.model.revision,
        "num_frames": description.num_frames,
        "levels": list(description.levels),
        "dim": description.dim,
        "options": dataclasses.asdict(description.options),
    }


def _quantization(kind: Quantization | None) -> models.QuantizationConfig | None:
    """The compressed copy, always in memory: that is what it is for."""
    pinned = models.Memory.PINNED
    if kind == "int8":
        # Without a quantile the range is that of the largest number; a few outliers would waste it.
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, memory=pinned)
        return models.ScalarQuantization(scalar=scalar)
    if kind == "4bit":
        turbo = models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, memory=pinned)
        return models.TurboQuantization(turbo=turbo)
    if kind == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(memory=pinned))
    return None
