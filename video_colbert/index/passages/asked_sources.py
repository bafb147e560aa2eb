"""Which sources a search asks: those that are named, or all that an index holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from video_colbert.encoding.stored_model.model_reference import NO_VIDEO_MODEL
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index.passages.source_search import KEYWORDS, SEARCHED, VIDEO
from video_colbert.text.passages import SOURCES

if TYPE_CHECKING:
    from video_colbert.index.video_index import VideoIndex
    from video_colbert.text.text_model import TextModel


def choose_sources(index: VideoIndex, asked: Collection[str] | None) -> tuple[str, ...]:
    """The sources to ask, in the order of `SEARCHED`.

    Args:
        index: the index.
        asked: names of sources; None for all that the index holds.

    Raises:
        IndexStoreError: there is no such source, or the index holds nothing of it.
    """
    held: list[str] = [] if index.model == NO_VIDEO_MODEL else [VIDEO]
    of_passages = index.passages.sources
    held += [source for source in SOURCES if source in of_passages]
    if any(source != VIDEO for source in held):
        held.append(KEYWORDS)
    if asked is None:
        return tuple(held)
    for source in asked:
        if source not in SEARCHED:
            raise IndexStoreError(f"there is no source {source!r}; there are {', '.join(SEARCHED)}")
        if source not in held and source in {kind for _, kind in index.readings.known()}:
            raise IndexStoreError(
                f"the index in {index.location} holds nothing of the source {source} that is encoded; name a "
                "--text-model to `index`"
            )
        if source not in held:
            raise IndexStoreError(
                f"the index in {index.location} holds nothing of the source {source}; it holds "
                f"{', '.join(held) or 'none'}"
            )
    if not asked:
        raise IndexStoreError(f"no source is named; there are {', '.join(held)}")
    return tuple(source for source in held if source in asked)


def text_model_of(index: VideoIndex, given: TextModel | None, *, device: str | None = None) -> TextModel:
    """The text model that made an index's passages, loaded if need be.

    Args:
        index: an index with passages.
        given: a text model that is loaded; None to load the index's.
        device: a torch device to load it on; by default the best one there is.

    Raises:
        ModelMismatchError: the passages were made by another model than is given, or than is there now.
        ModelLoadError: the model cannot be loaded.
    """
    made_by = index.passages.model
    assert made_by is not None  # noqa: S101 - there are passages
    if given is None:
        from video_colbert.text.text_model import TextModel

        is_folder = made_by.name.startswith(("/", "\\")) or ":" in made_by.name
        revision = None if is_folder else made_by.revision
        given = TextModel.from_pretrained(made_by.name, revision=revision, device=device)
    if given.reference.revision != made_by.revision:
        raise ModelMismatchError(
            f"the passages of the index in {index.location} were made with {made_by}, not with {given.reference}; use "
            "that model, or make them anew with `video-colbert index --text-model`"
        )
    return given


def searched_model(index: VideoIndex) -> str:
    """The name of the model that made an index; of one that holds texts only, that of its text model."""
    if index.model != NO_VIDEO_MODEL or (made_by := index.passages.model) is None:
        return index.model.name
    return made_by.name
