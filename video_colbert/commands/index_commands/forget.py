"""Forgets videos: removes them from an index with their tokens and its earlier versions, and from caches.

Says what went and what it cannot reach. The files themselves stay where they are. No other process may use the index
meanwhile.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.index_arguments import (
    add_index_argument,
    add_videos_of_index,
    counted,
    open_existing,
)
from video_colbert.commands.user_cache import CachedIndex
from video_colbert.console import ExitCode, write_result
from video_colbert.errors import IndexStoreError

if TYPE_CHECKING:
    from video_colbert.index import Index

NAME = "forget"
HELP = "remove videos from an index, its earlier versions and caches"
EXAMPLES = ("video-colbert forget d.mp4 --index my_index", "video-colbert forget --index my_index")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_videos_of_index(parser, without="without any, what videos that were removed or replaced before have left goes")
    add_index_argument(parser)
    parser.add_argument("--cache-dir", metavar="DIR", help="also their embeddings in this cache of `evaluate`")
    parser.add_argument(
        "--frame-cache", metavar="DIR", help="also their frames in this cache of `train`, where their files are there"
    )


def run(arguments: argparse.Namespace) -> int:
    """Forgets the videos.

    Raises:
        IndexStoreError: there is no such index, one of the videos is not in it, or it cannot be written.
        OSError: there is no such cache, or a file of it cannot be deleted.
    """
    from video_colbert.index.named_videos import find_named
    from video_colbert.index.passages.text_collection import names_of_texts

    with open_existing(arguments.index) as index:
        if not arguments.videos:
            return _forget_what_was_removed(index)
        try:
            texts = functools.partial(names_of_texts, index.stored)
            wanted = frozenset(find_named(index.videos, arguments.videos, index.location, texts=texts))
        except IndexStoreError as error:
            raise IndexStoreError(
                f"{error}; `video-colbert forget --index {arguments.index}` without VIDEO deletes what videos that "
                "were removed before have left"
            ) from error
        videos = [video for video in index.videos if video.id in wanted]
        contents = {video.digest for video in videos}
        paths = sorted({path for video in videos for path in (video.path, *video.copies)})
        went: list[str] = []
        out_of_reach: list[str] = []
        # The caches first: once the index does not hold the videos, their names mean nothing any more.
        for cached in CachedIndex.all():
            is_this = Path(cached.location).resolve() == Path(arguments.index).resolve()
            if is_this:
                cached.forget_files(paths)
            else:
                what, beyond = _forget_in_cached(cached, contents)
                went += what
                out_of_reach += beyond
        for what, beyond in (_forget_embeddings(arguments, contents), _forget_frames(arguments, paths)):
            went += what
            out_of_reach += beyond
        out_of_reach += index.stored.forget(wanted)
        went.insert(0, f"{counted(videos)} of the index in {index.location}")
    out_of_reach += [
        "the files themselves, which come back when their folder is indexed or searched again",
        "what indexes hold of videos that were removed from them before: `video-colbert forget --index DIR`",
        "pages of `search --html`, reports of `evaluate`, manifests and copies of `prepare`, and backups",
    ]
    _write(
        {"Forgotten:": sorted({video.path for video in videos}), "Deleted, with earlier versions:": went}, out_of_reach
    )
    return ExitCode.OK


def _forget_what_was_removed(index: Index) -> ExitCode:
    """Deletes what removed and replaced videos left in an index."""
    out_of_reach = index.stored.forget([])
    left = f"what videos that were removed or replaced before had left in the index in {index.location}"
    _write({"Deleted, with earlier versions:": [left]}, out_of_reach)
    return ExitCode.OK


def _write(parts: Mapping[str, Sequence[str]], out_of_reach: Sequence[str]) -> None:
    """Writes what went, and what was not reached."""
    shown = {**parts, "Not reached:": out_of_reach}
    lines = (line for title, of_part in shown.items() if of_part for line in (title, *(f"  {it}" for it in of_part)))
    write_result("\n".join(lines))


def _forget_in_cached(cached: CachedIndex, contents: Collection[str]) -> tuple[list[str], list[str]]:
    """What went of an index of `search --in`, and what is out of reach."""
    from filelock import FileLock

    try:
        with FileLock(cached.lock_file), open_existing(cached.location) as index:
            videos = [video for video in index.videos if video.digest in contents]
            # First, so that files that are there are read again, whatever becomes of this.
            cached.forget_files({path for video in videos for path in (video.path, *video.copies)})
            if videos:
                index.stored.forget([video.id for video in videos])
    except IndexStoreError as error:
        return [], [f"the index that `search --in` keeps in {cached.place}; delete that folder: {error}"]
    return [f"{counted(videos)} of the index that `search --in` keeps in {cached.location}"] if videos else [], []


def _forget_embeddings(arguments: argparse.Namespace, contents: Collection[str]) -> tuple[list[str], list[str]]:
    """What went of the cache of `evaluate`, and what is out of reach."""
    from video_colbert.evaluation.embedding_cache import forget_embeddings

    if arguments.cache_dir is None:
        return [], ["embeddings that `evaluate` keeps in a cache; name it with --cache-dir"]
    number = forget_embeddings(arguments.cache_dir, contents)
    return [f"{_entries(number)} of the embeddings in {arguments.cache_dir}"], []


def _forget_frames(arguments: argparse.Namespace, paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """What went of the cache of `train`, and what is out of reach."""
    from video_colbert.training.frame_cache import forget_frames

    if arguments.frame_cache is None:
        return [], ["frames that `train` keeps in a cache; name it with --frame-cache"]
    there = [path for path in paths if Path(path).is_file()]
    gone = [path for path in paths if path not in there]
    number = sum(forget_frames(arguments.frame_cache, path) for path in there)
    beyond = [f"frames in {arguments.frame_cache} of files that are gone: {', '.join(gone)}"] if gone else []
    return [f"{_entries(number)} of the frames in {arguments.frame_cache}"], beyond


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"
