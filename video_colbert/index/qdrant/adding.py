"""Videos into a Qdrant collection, each in place of what was at its path and window before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.metadata_columns import new_metadata_fields
from video_colbert.index.passages.content_texts import ContentTexts
from video_colbert.index.qdrant.changes import find_replaced, remove_videos, renew_videos, upload_videos
from video_colbert.index.qdrant.collection import CollectionDescription, QdrantCollection
from video_colbert.index.qdrant.removal import contents_without
from video_colbert.index.search.scoring import levels_text


def add_videos(
    collection: QdrantCollection,
    texts: ContentTexts,
    videos: Sequence[tuple[IndexedVideo, EncodedVideo]],
    *,
    renews: bool = False,
) -> CollectionDescription:
    """Stores videos, as `VideoIndex.add` says.

    Args:
        collection: where.
        texts: what was read of the videos.
        videos: at least one; what to know of each, and its tokens.
        renews: whether what is there already gets these tokens.

    Returns:
        What the collection holds then.

    Raises:
        ModelMismatchError: tokens have another size or other levels than those stored.
        IndexStoreError: the collection cannot be written, or metadata does not fit its columns.
    """
    of_places = {(video.path, video.start, video.end): (video, encoded) for video, encoded in videos}
    new = list({video.id: (video, encoded) for video, encoded in of_places.values()}.values())
    stored = collection.describe()
    dimensions = stored.dimensions or _dimensions(new[0][1])
    for _, encoded in new:
        _check_dimensions(str(collection.location), dimensions, encoded)
    # Pooled vectors hold the levels in the collection's order.
    new = [(video, _in_order(encoded, dimensions)) for video, encoded in new]
    columns = new_metadata_fields(stored.columns, [video.metadata for video, _ in new])
    if not stored.dimensions:
        collection.add_vectors(dimensions, stored.options)
        stored = replace(stored, dimensions=dimensions)
    collection.add_columns(columns)
    if renews:
        renew_videos(collection, new)
    upload_videos(collection, new)
    if replaced := find_replaced(collection, [video for video, _ in new]):
        # What was read of a content that is stored elsewhere too stays.
        texts.remove(contents_without(collection, replaced))
        remove_videos(collection, replaced)
    return stored


def _check_dimensions(place: str, stored: Mapping[str, int], encoded: EncodedVideo) -> None:
    """Checks that the tokens of a video fit what is stored."""
    if encoded.token_weights:
        raise IndexStoreError(
            f"the index at {place} holds no weights of tokens, which {encoded.clip.source!r} has; index in a folder"
        )
    if (given := _dimensions(encoded)) != stored:
        raise ModelMismatchError(
            f"the index at {place} holds vectors of {levels_text(stored)}, not of {levels_text(given)} like those of "
            f"{encoded.clip.source!r}"
        )


def _in_order(encoded: EncodedVideo, levels: Iterable[str]) -> EncodedVideo:
    return replace(encoded, embeds={level: encoded.embeds[level] for level in levels})


def _dimensions(encoded: EncodedVideo) -> dict[str, int]:
    return {level: int(tokens.shape[1]) for level, tokens in encoded.embeds.items()}
