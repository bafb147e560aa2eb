"""Lists the videos that an index holds, a path a line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from video_colbert.commands.arguments.index_arguments import (
    add_index_argument,
    add_where,
    open_existing,
    where_grammar,
)
from video_colbert.console import ExitCode, write_paths, write_result

if TYPE_CHECKING:
    from video_colbert.index import IndexedVideo

NAME = "list"
HELP = "list the videos of an index"
EXAMPLES = (
    "video-colbert list --index my_index --long",
    "video-colbert list --index my_index --where 'duration > 1' --json",
)
NOTES = where_grammar()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_index_argument(parser)
    add_where(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--long", action="store_true", help="also the duration and the number of windows of each")
    form.add_argument("--json", action="store_true", help="write one JSON object with all that is known of each")


def run(arguments: argparse.Namespace) -> int:
    """Lists the videos.

    Raises:
        IndexStoreError: there is no such index, or it cannot be read.
        FilterError: the condition is not understood, or asks for a column that the index does not have.
    """
    with open_existing(arguments.index) as index:
        stored = index.videos if arguments.where is None else index.stored.videos_where(arguments.where)
        videos = [_described(windows) for windows in _by_path(stored)]
        if arguments.json:
            write_result(json.dumps({"index": index.location, "videos": videos}, indent=2))
        elif arguments.long:
            write_result("\n".join(_line(video) for video in videos))
        else:
            write_paths(video["path"] for video in videos)
    return ExitCode.OK


def _by_path(videos: Iterable[IndexedVideo]) -> list[list[IndexedVideo]]:
    """The windows of each video together, by path."""
    found: dict[str, list[IndexedVideo]] = {}
    for video in videos:
        found.setdefault(video.path, []).append(video)
    return [found[path] for path in sorted(found)]


def _described(windows: Sequence[IndexedVideo]) -> dict[str, Any]:
    """A video as JSON has it: what is known of it, and its windows."""
    first = windows[0]
    return {
        "path": first.path,
        "digest": first.digest,
        "duration": round(first.duration, 3),
        "windows": [
            {"start": video.start or 0.0, "end": video.duration if video.end is None else video.end}
            for video in sorted(windows, key=lambda video: video.start or 0.0)
        ],
        **asdict(first.facts),
        "metadata": dict(first.metadata),
        "copies": list(first.copies),
    }


def _line(video: dict[str, Any]) -> str:
    from video_colbert.encoding.display import format_seconds

    number = len(video["windows"])
    windows = "1 window" if number == 1 else f"{number} windows"
    return f"{format_seconds(video['duration']):>9}  {windows:>11}  {video['path']}"
