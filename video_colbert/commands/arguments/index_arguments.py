"""The arguments of every command that opens an index."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.typed_text import typed_text
from video_colbert.errors import IndexStoreError, NoIndexError
from video_colbert.index import filters

if TYPE_CHECKING:
    from video_colbert.index import Index, IndexedVideo

_GRAMMAR_BEGINS = "    condition "


def add_index_argument(
    parser: argparse._ActionsContainer,
    *,
    text: str = "folder or address (s3://..., qdrant://...) of the index",
    is_required: bool = True,
) -> None:
    """Adds --index.

    Args:
        parser: the command's parser, or a group of it.
        text: what its help says.
        is_required: whether it must be given.
    """
    parser.add_argument("--index", required=is_required, metavar="DIR", help=text)


def open_existing(location: str) -> Index:
    """Opens an index that --index names.

    Raises:
        IndexStoreError: there is none, or it cannot be read or reached.
    """
    from video_colbert.index import open_index

    try:
        return open_index(location)
    except NoIndexError as error:
        raise IndexStoreError(f"there is no index in {location}; make one with `video-colbert index`") from error


def add_where(parser: argparse._ActionsContainer) -> None:
    """Adds --where; the command's help should have `where_grammar` below."""
    parser.add_argument(
        "--where",
        type=typed_text,
        metavar="CONDITION",
        help="only videos of which this holds, such as \"year >= 2020 and genre = 'news'\"; see below",
    )


def where_grammar() -> str:
    """The language of --where, as its module describes it."""
    _, begin, rules = (filters.__doc__ or "").partition(_GRAMMAR_BEGINS)
    return f"conditions of --where:\n{begin}{rules.rstrip()}"


def add_videos_of_index(parser: argparse.ArgumentParser, *, without: str | None = None) -> None:
    """Adds VIDEO..., what to call stored videos by.

    Args:
        parser: the command's parser.
        without: what the command does without any, as its help says it; None where there must be one.
    """
    text = "path, end of a path that only one video has, URL, or id of a video in the index"
    parser.add_argument(
        "videos",
        nargs="+" if without is None else "*",
        metavar="VIDEO",
        help=text if without is None else f"{text}; {without}",
    )


def counted(videos: Sequence[IndexedVideo]) -> str:
    """How many videos some rows of an index are, such as "3 videos in 90 windows".

    Args:
        videos: whole ones, and windows.
    """
    from video_colbert.index.windows import counted_videos

    return counted_videos(len({video.path for video in videos}), len(videos))
