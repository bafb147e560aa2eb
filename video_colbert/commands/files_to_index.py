"""The files that `video-colbert index` is asked to index, and what its metadata says of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.console import write_notice
from video_colbert.errors import MetadataError

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import BadVideo

# Names that a notice lists before it only counts.
_LISTED = 10


def find_files(arguments: argparse.Namespace, *, may_be_empty: bool) -> tuple[list[str], list[Path], list[BadVideo]]:
    """All videos that are asked for, but those of the manifest; the folders they are in; folders that are closed.

    What is left out of folders is told.

    Args:
        arguments: of the command.
        may_be_empty: whether folders may hold no videos.

    Raises:
        FileNotFoundError: a file or folder is missing, or there is no video among them.
    """
    from video_colbert.dataset_builders.protocol_check import shortened
    from video_colbert.index import find_video_files

    if not arguments.videos:
        return [], [], []
    found = find_video_files(arguments.videos, may_be_empty=may_be_empty)
    left_out = dict(found.left_out)
    if arguments.subtitles:
        from video_colbert.text.subtitles import SUBTITLE_SUFFIXES

        left_out = {suffix: number for suffix, number in left_out.items() if suffix not in SUBTITLE_SUFFIXES}
    if left_out:
        kinds = ", ".join(f"{number} {suffix}" for suffix, number in sorted(left_out.items()))
        write_notice(f"Left out, no media files: {kinds}.")
    if found.hidden:
        write_notice(f"Left out, hidden files and folders: {found.hidden}.")
    if found.followed:
        write_notice(f"Looked into, folders that links lead to: {shortened(map(str, found.followed), _LISTED)}.")
    if found.dangling:
        write_notice(f"Left out, links to nothing or no files: {shortened(map(str, found.dangling), _LISTED)}.")
    folders = [Path(video) for video in arguments.videos if Path(video).is_dir()]
    return [str(path) for path in found.files], folders, found.bad_folders()


def collect_metadata(
    arguments: argparse.Namespace, files: list[str], folders: list[Path], *, may_be_empty: bool
) -> dict[str, Mapping[str, str | int | float | bool]]:
    """Reads the manifest, whose videos it appends to `files`, and the metadata.

    Args:
        arguments: of the command.
        files: videos that were found.
        folders: where they were found.
        may_be_empty: whether there may be no videos.

    Returns:
        By video, values by column.

    Raises:
        MetadataError: there is nothing to index, or a file cannot be understood.
    """
    from video_colbert.index import match_metadata, read_manifest, read_metadata

    found: dict[str, Mapping[str, str | int | float | bool]] = {}
    if arguments.manifest is not None:
        listed, found = read_manifest(arguments.manifest)
        files += [path for path in listed if path not in set(files)]
    if not files and not may_be_empty:
        raise MetadataError("there is nothing to index; name video files, folders of them, or a --manifest")
    if arguments.metadata is not None:
        matched, absent = match_metadata(
            read_metadata(arguments.metadata), files, [*folders, arguments.metadata.absolute().parent]
        )
        found = {path: {**found.get(path, {}), **matched.get(path, {})} for path in (*found, *matched)}
        if absent:
            more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
            names = ", ".join(absent[:_LISTED])
            write_notice(f"{arguments.metadata} names {len(absent)} videos that are not there: {names}{more}.")
    return found
