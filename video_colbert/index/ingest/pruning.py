"""Pruning: what an index holds of files that are gone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from video_colbert.encoding.media_files import content_digest, is_gone, is_remote
from video_colbert.errors import FolderLostError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.video_index import VideoIndex

# Folders that an error names before it only counts.
_NAMED = 3


def prune_videos(
    index: VideoIndex, folders: Iterable[str | os.PathLike[str]], *, prune_all: bool = False
) -> list[str]:
    """Removes from an index the files that are gone.

    A content of which another file is left stays, under that file's path.

    Args:
        index: the index.
        folders: only files that were under one of them are looked at.
        prune_all: also where a folder has lost all of its files, as the place of a disk that is not mounted has.

    Returns:
        The paths that were removed, sorted.

    Raises:
        FileNotFoundError: a folder itself is gone.
        FolderLostError: without `prune_all`, a folder is there and none of the files that the index knows in it.
        IndexStoreError: the index cannot be written.
    """
    roots = absolute_folders(folders)
    for root in roots:
        if not root.exists():
            raise FileNotFoundError(f"there is no folder {root}; nothing of it is removed from the index")
    of_paths: dict[str, list[IndexedVideo]] = defaultdict(list)
    for video in _videos_below(index, roots):
        of_paths[video.path].append(video)
    gone = [path for path in of_paths if is_gone(path)]
    if not prune_all:
        _check_folders(roots, of_paths, set(gone))
    moved: dict[str, str] = {}
    copies: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    for path in gone:
        copy = _remaining_copy(of_paths[path][0])
        for video in of_paths[path]:
            if copy is None:
                removed.setdefault(path, []).append(video.id)
            else:
                moved[video.id] = copy
                copies[video.id] = [other for other in video.copies if other != copy]
    index.move(moved)
    index.set_copies(copies)
    index.remove([video_id for ids in removed.values() for video_id in ids])
    return sorted(removed)


def find_gone(
    index: VideoIndex, folders: Iterable[str | os.PathLike[str]], *, present: Iterable[str] = ()
) -> list[str]:
    """The files below some folders that an index holds and that are no longer there, sorted.

    Args:
        index: the index.
        folders: absolute, or from the working directory.
        present: files that are known to be there.
    """
    paths = {video.path for video in _videos_below(index, absolute_folders(folders))}
    return sorted(filter(is_gone, paths - set(present)))


def absolute_folders(folders: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Folders as the paths of an index name them; links are kept."""
    return [Path(os.path.normpath(Path(folder).absolute())) for folder in folders]


def _videos_below(index: VideoIndex, roots: Sequence[Path]) -> Iterator[IndexedVideo]:
    if roots:
        for video in index.videos:
            if not is_remote(video.path) and any(Path(video.path).is_relative_to(root) for root in roots):
                yield video


def _check_folders(roots: Sequence[Path], known: Iterable[str], gone: set[str]) -> None:
    """Refuses folders that are there without any file that was known in them or below."""
    lost: dict[Path, bool] = {}
    for path in known:
        for folder in Path(path).parents:
            if any(folder.is_relative_to(root) for root in roots):
                lost[folder] = lost.get(folder, True) and path in gone
    # One file may well be removed from a folder where it was alone; a disk is given as such, or leaves nothing.
    empty = sorted(folder for folder, is_lost in lost.items() if is_lost and _looks_unmounted(folder, roots))
    if empty:
        names = ", ".join(map(str, empty[:_NAMED]))
        more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
        raise FolderLostError(
            f"nothing is pruned: all files that the index knows in {names}{more} are gone, as where a disk is not "
            "mounted; prune with prune_all=True if they were removed on purpose"
        )


def _looks_unmounted(folder: Path, roots: Sequence[Path]) -> bool:
    if not folder.is_dir():
        return False
    return folder in roots or os.path.ismount(folder) or not any(folder.iterdir())


def _remaining_copy(video: IndexedVideo) -> str | None:
    """Another file that still has the content of a video whose file is gone."""
    for path in video.copies:
        try:
            if is_remote(path) or content_digest(path) == video.digest:
                return path
        except OSError:
            continue
    return None
