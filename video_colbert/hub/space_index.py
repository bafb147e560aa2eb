"""An index and its videos as they go into a Space: a copy whose paths are those of the repository."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from video_colbert.encoding.media_files import is_remote
from video_colbert.errors import HubError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.opening import open_index
from video_colbert.index.video_index import VideoIndex

INDEX_FOLDER = "index"
VIDEO_FOLDER = "videos"
_MEGABYTE = 1e6


@dataclass(frozen=True)
class SpaceIndex:
    """What a Space shows.

    Attributes:
        index: the folder of the copied index.
        videos: the video files by their path in the repository.
        left_out: videos of the index that are not in the copy, since no file is there any more.
    """

    index: Path
    videos: Mapping[str, Path]
    left_out: Sequence[str]


def copy_for_space(location: str | Path, folder: Path, *, where: str | None, most_bytes: int) -> SpaceIndex:
    """Copies an index, leaves out what is not shown, and names its videos by where they lie in the Space.

    The copy says nothing of the folders of this machine, nor do earlier versions of it.

    Args:
        location: folder of the index, which is not changed.
        folder: an empty one, for the copy.
        where: condition that videos must satisfy; None for all.
        most_bytes: what the video files may take together.

    Raises:
        HubError: no video is left, or they take more.
        FilterError: the condition is not understood.
        IndexStoreError: the index cannot be read.
    """
    copied = folder / INDEX_FOLDER
    with open_index(location) as source:
        chosen = source.stored.videos if where is None else source.stored.videos_where(where)
    shutil.copytree(location, copied)
    files, left_out = _files_of(chosen)
    _check_size(files.values(), most_bytes, where)
    names = _names(files)
    with open_index(copied) as index:
        _rewrite(index.stored, {video.id for video in chosen if video.digest in files}, names)
    return SpaceIndex(copied, {f"{VIDEO_FOLDER}/{names[digest]}": path for digest, path in files.items()}, left_out)


def _files_of(videos: Sequence[IndexedVideo]) -> tuple[dict[str, Path], list[str]]:
    """A file of each content, and the paths of those of which there is none."""
    files: dict[str, Path] = {}
    left_out = []
    for video in videos:
        there = [path for path in (video.path, *video.copies) if not is_remote(path) and Path(path).is_file()]
        if there:
            files.setdefault(video.digest, Path(there[0]))
        elif video.path not in left_out:
            left_out.append(video.path)
    return files, left_out


def _check_size(paths: Collection[Path], most_bytes: int, where: str | None) -> None:
    if not paths:
        why = "none of the index has a file here" if where is None else f"none with {where} has a file here"
        raise HubError(f"there is no video for the Space: {why}")
    taken = sum(path.stat().st_size for path in paths)
    if taken > most_bytes:
        raise HubError(
            f"the {len(paths)} videos take {taken / _MEGABYTE:,.0f} MB and may take {most_bytes / _MEGABYTE:,.0f}; "
            "choose fewer with --where, or allow more with --max-mb"
        )


def _names(files: Mapping[str, Path]) -> dict[str, str]:
    """By content, a name that no other file has: its own, else with the beginning of its digest."""
    names: dict[str, str] = {}
    for digest, path in files.items():
        name = path.name if path.name not in names.values() else f"{path.stem}-{digest[:8]}{path.suffix}"
        names[digest] = name
    return names


def _rewrite(stored: VideoIndex, kept: set[str], names: Mapping[str, str]) -> None:
    stored.forget([video.id for video in stored.videos if video.id not in kept])
    videos = stored.videos
    stored.set_copies({video.id: () for video in videos if video.copies})
    stored.move({video.id: f"{VIDEO_FOLDER}/{names[video.digest]}" for video in videos})
    stored.set_notes(replace(stored.notes, folders=(VIDEO_FOLDER,), bad_files=()))
    # What the earlier versions of the copy hold: paths of this machine, and videos that are left out.
    stored.forget(())
