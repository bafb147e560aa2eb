"""Forgets videos: removes them from an index with their tokens and its earlier versions, and from caches.

Says what went and what it cannot reach. The files themselves stay where they are. No other process may use the index
meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from video_colbert.commands.arguments.index_arguments import (
    add_index_argument,
    add_videos_of_index,
    counted,
    open_existing,
)
from video_colbert.commands.user_cache import CachedIndex
from video_colbert.console import ExitCode, write_result

NAME = "forget"
HELP = "remove videos from an index, its earlier versions and caches"
EXAMPLES = ("video-colbert forget d.mp4 --index my_index",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_videos_of_index(parser)
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

    with open_existing(arguments.index) as index:
        wanted = frozenset(find_named(index.videos, arguments.videos, index.location))
        videos = [video for video in index.videos if video.id in wanted]
        out_of_reach = list(index.stored.forget(wanted))
        went = [f"{counted(videos)} of the index in {index.location}"]
    contents = {video.digest for video in videos}
    paths = sorted({path for video in videos for path in (video.path, *video.copies)})
    for cached in CachedIndex.all():
        cached.forget_files(paths)
        if Path(cached.location).resolve() != Path(arguments.index).resolve():
            went += _forget_in_cached(cached, contents)
    for what, beyond in (_forget_embeddings(arguments, contents), _forget_frames(arguments, paths)):
        went += what
        out_of_reach += beyond
    out_of_reach += [
        "the files themselves, which come back when their folder is indexed or searched again",
        "pages of `search --html`, reports of `evaluate`, manifests and copies of `prepare`, and backups",
    ]
    parts = {
        "Forgotten:": sorted({video.path for video in videos}),
        "Deleted, with earlier versions:": went,
        "Not reached:": out_of_reach,
    }
    write_result("\n".join(line for title, lines in parts.items() for line in (title, *(f"  {it}" for it in lines))))
    return ExitCode.OK


def _forget_in_cached(cached: CachedIndex, contents: Collection[str]) -> list[str]:
    """Forgets contents in an index of `search --in`; says what went."""
    with open_existing(cached.location) as index:
        videos = [video for video in index.videos if video.digest in contents]
        index.stored.forget([video.id for video in videos])
    return [f"{counted(videos)} of the index that `search --in` keeps in {cached.location}"] if videos else []


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
