"""Stored videos by what a user calls them: an id, a path or its end, or a URL."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path, PurePath

from video_colbert.encoding.media_files import is_remote
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import IndexedVideo


def find_named(
    videos: Sequence[IndexedVideo],
    names: Iterable[str],
    location: str,
    *,
    texts: Callable[[], Collection[str]] = tuple,
    outcome: str = "nothing was removed",
) -> list[str]:
    """Finds the ids of videos, with all their windows.

    Args:
        videos: those of an index.
        names: ids, contents' digests, paths (absolute, from the working directory, or the end of just one stored
            path) or URLs.
        location: where the index is, for messages.
        texts: gives the names of texts of a plain collection, which are no videos; asked for messages.
        outcome: what it means that a name fits nothing, as messages end.

    Raises:
        IndexStoreError: names that nothing stored has, all of which are named, or a name that fits several videos.
    """
    ids: dict[str, list[str]] = defaultdict(list)
    paths: dict[str, None] = {}
    for video in videos:
        for key in {video.id, video.digest, video.path}:
            ids[key].append(video.id)
        paths[video.path] = None
    found: dict[str, None] = {}
    absent = []
    for name in names:
        key = name if name in ids else os.path.normpath(Path(name).absolute())
        if key not in ids:
            ends = [path for path in paths if _ends_with(path, name)]
            if len(ends) > 1:
                raise IndexStoreError(
                    f"{name} may be {' or '.join(sorted(ends))} in the index in {location}; {outcome}, give "
                    "more of the path"
                )
            key = ends[0] if ends else name
        if key in ids:
            found.update(dict.fromkeys(ids[key]))
        else:
            absent.append(name)
    if texts_named := sorted(set(absent) & set(texts() if absent else ())):
        raise IndexStoreError(
            f"{', '.join(texts_named)}: a text of a collection, not a video; `index --passages FILE --prune` removes "
            f"texts that are no longer in FILE; {outcome}"
        )
    if absent:
        raise IndexStoreError(f"not in the index in {location}: {', '.join(absent)}; {outcome}")
    return list(found)


def _ends_with(path: str, name: str) -> bool:
    parts = PurePath(name).parts
    return not is_remote(path) and bool(parts) and PurePath(path).parts[-len(parts) :] == parts
