"""Removes videos from an index; `forget` also deletes what its files, earlier versions and caches keep of them."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.index_arguments import (
    add_index_argument,
    add_videos_of_index,
    counted,
    open_existing,
)
from video_colbert.console import ExitCode, write_result

NAME = "remove"
HELP = "remove videos from an index"
EXAMPLES = ("video-colbert remove c.mp4 --index my_index",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_videos_of_index(parser)
    add_index_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Removes the videos.

    Raises:
        IndexStoreError: there is no such index, one of the videos is not in it, or it cannot be written.
    """
    with open_existing(arguments.index) as index:
        before = index.videos
        index.remove(arguments.videos)
        left = frozenset(video.id for video in index.videos)
        removed = [video for video in before if video.id not in left]
        write_result(f"{counted(removed)} removed; the index in {arguments.index} holds {counted(index.videos)}.")
    return ExitCode.OK
