"""What is checked of the arguments about texts before anything is encoded, which may take hours."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from video_colbert.errors import IndexStoreError, MetadataError

# Arguments of `index` that concern videos.
_OF_VIDEOS = (
    "videos",
    "manifest",
    "metadata",
    "model",
    "revision",
    "num_frames",
    "windows",
    "window_overlap",
    "merge_similarity",
    "tone_map",
    "max_pixels",
    "retry_bad",
    "subtitles",
    "speech",
    "screen_text",
    "description",
    "no_description",
    "language",
    "every",
    "ray",
    "encoders",
)


def check_collection_alone(arguments: argparse.Namespace) -> None:
    """Refuses what goes with videos beside --passages, which takes none.

    Raises:
        IndexStoreError: there is such an argument; the message names it.
    """
    given = [name for name in _OF_VIDEOS if getattr(arguments, name) not in (None, False, [])]
    if given:
        names = ", ".join("VIDEO" if name == "videos" else f"--{name.replace('_', '-')}" for name in given)
        raise IndexStoreError(
            f"--passages is a collection of its own, with which {names} has no meaning; leave it out, or index videos "
            "in another call"
        )


def check_texts(
    arguments: argparse.Namespace,
    metadata: Mapping[str, Mapping[str, str | int | float | bool]],
) -> None:
    """Checks that what is read of videos can be kept, described and encoded.

    Args:
        arguments: of `index`.
        metadata: of this run, by video.

    Raises:
        IndexStoreError: the index cannot be read.
        MetadataError: no metadata has the column of --description, or it is one of --no-description too.
        MissingExtraError: sentence-transformers is not installed.
        ModelLoadError: there is no such text model.
    """
    if arguments.no_description:
        _check_dropped(arguments)
    if arguments.description not in (None, "-"):
        _check_column(arguments, metadata)
    if arguments.text_model is not None:
        from video_colbert.text.text_model_files import check_text_extra, find_text_model

        check_text_extra()
        find_text_model(arguments.text_model)


def _check_column(
    arguments: argparse.Namespace, metadata: Mapping[str, Mapping[str, str | int | float | bool]]
) -> None:
    from video_colbert.index import index_exists, open_index

    columns = dict.fromkeys(name for values in metadata.values() for name in values)
    if arguments.description in columns:
        return
    if index_exists(arguments.index):
        with open_index(arguments.index) as index:
            columns.update(dict.fromkeys(name for video in index.videos for name in video.metadata))
    if arguments.description not in columns:
        there = f"there are {', '.join(columns)}" if columns else "there is no metadata"
        raise MetadataError(
            f"--description names the column {arguments.description!r}, which the metadata does not have; {there}, "
            "and `-` takes what the files say of themselves"
        )


def _check_dropped(arguments: argparse.Namespace) -> None:
    from video_colbert.index import index_exists, open_index
    from video_colbert.index.dropped_descriptions import check_description_column

    if arguments.description in arguments.no_description:
        raise MetadataError(
            f"the column {arguments.description!r} is given to --description and to --no-description; leave one out"
        )
    if not index_exists(arguments.index):
        raise IndexStoreError(f"--no-description needs an index, and there is none in {arguments.index}")
    with open_index(arguments.index) as index:
        for column in arguments.no_description:
            check_description_column(index.stored, column)
