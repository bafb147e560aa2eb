"""An index by where it is: a folder, object storage, or a Qdrant collection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from video_colbert.encoding.pretrained import ModelReference
from video_colbert.errors import IndexStoreError, MissingExtraError
from video_colbert.index.lance.lance_index import Index
from video_colbert.index.qdrant.location import is_qdrant_uri
from video_colbert.index.video_index import VideoIndex

if TYPE_CHECKING:
    from video_colbert.index.qdrant.qdrant_index import QdrantIndex

_PACKAGES_OF_EXTRA = ("qdrant_client", "grpc")


def index_exists(location: str | os.PathLike[str]) -> bool:
    """Whether there is an index.

    Args:
        location: a folder, `s3://bucket/name`, `qdrant://host:6333/collection` or `qdrant+local:///folder`.

    Raises:
        IndexStoreError: the location is not valid or cannot be reached.
        MissingExtraError: it is a Qdrant collection, and the `qdrant` extra is not installed.
    """
    address = os.fspath(location)
    return _qdrant().exists(address) if is_qdrant_uri(address) else Index.exists(address)


def open_index(location: str | os.PathLike[str], *, model: ModelReference | None = None) -> VideoIndex:
    """Opens an index.

    Args:
        location: as `index_exists`.
        model: the model that will be used with it, checked against the one that made it.

    Raises:
        ModelMismatchError: it was made by another model or another revision.
        IndexStoreError: there is none, it cannot be read, or it is of another release.
        MissingExtraError: as `index_exists`.
    """
    address = os.fspath(location)
    if is_qdrant_uri(address):
        return _qdrant().open(address, model=model)
    return Index.open(address, model=model)


def create_index(
    location: str | os.PathLike[str],
    *,
    model: ModelReference,
    num_frames: int | None,
    codec: str | None = None,
    merge_similarity: float | None = None,
) -> VideoIndex:
    """Makes an empty index.

    Args:
        location: as `index_exists`.
        model: which weights will make the vectors.
        num_frames: frames that will be sampled from each video; None for as many as there are.
        codec: how tokens are stored, as `Index.create`; None for float16.
        merge_similarity: as `Index.create`.

    Raises:
        IndexStoreError: there is one already, the location cannot be written or reached, or a Qdrant collection is
            asked for a codec or for merged tokens.
        MissingExtraError: as `index_exists`.
        ValueError: as `Index.create`.
    """
    address = os.fspath(location)
    if is_qdrant_uri(address):
        if codec is not None or merge_similarity is not None:
            raise IndexStoreError(
                "a Qdrant collection holds all tokens as float16, so it takes no codec and merges none; compressed "
                "copies are options of its address, such as ?token_quantization=int8"
            )
        return _qdrant().create(address, model=model, num_frames=num_frames)
    return Index.create(
        address, model=model, num_frames=num_frames, codec=codec or "float16", merge_similarity=merge_similarity
    )


def _qdrant() -> type[QdrantIndex]:
    try:
        from video_colbert.index.qdrant.qdrant_index import QdrantIndex
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _PACKAGES_OF_EXTRA:
            raise
        raise MissingExtraError(
            "an index in Qdrant needs the package qdrant-client, which is not installed: "
            "pip install 'video-colbert[qdrant]'"
        ) from error
    return QdrantIndex
