"""The files that a server gives out: those that an index holds, found by the digest of their content alone."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from video_colbert.encoding.media_files import is_remote
from video_colbert.errors import NotServedError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.video_index import VideoIndex

# What ids look like: digests. Nothing else is looked up, whatever a request has in its place.
_ID = re.compile(r"[\w.-]{1,128}")


@dataclass(frozen=True)
class StoredFile:
    """A file that may be given out.

    Attributes:
        id: the digest of its content.
        path: where it is, without links.
        name: what the index calls it, without its folder.
        size: in bytes.
        modified: when it was changed last, in nanoseconds since 1970.
        duration: of the video, in seconds.
    """

    id: str
    path: Path
    name: str
    size: int
    modified: int
    duration: float


def find_stored_video(stored: VideoIndex, video_id: str) -> IndexedVideo:
    """What an index knows of a video.

    Args:
        stored: the index.
        video_id: the digest of its content, as hits name it.

    Raises:
        NotServedError: the index holds no such video.
        IndexStoreError: it cannot be read.
    """
    if _ID.fullmatch(video_id):
        found = stored.videos_of_contents([video_id]).get(video_id)
        if found is not None:
            return found
    raise NotServedError("the index holds no video of this id; search again")


def find_stored_file(stored: VideoIndex, video_id: str) -> StoredFile:
    """The file of a video, or one of its copies, if it is still what was indexed.

    Args:
        stored: the index.
        video_id: as of `find_stored_video`.

    Raises:
        NotServedError: the index holds no such video; or its file is gone, is at an address, has another size by
            now, or a link on its way leads out of the folders that were indexed.
        IndexStoreError: the index cannot be read.
    """
    video = find_stored_video(stored, video_id)
    folders = stored.notes.folders
    refusal: NotServedError | None = None
    for path in (video.path, *video.copies):
        try:
            return _checked_file(video, path, folders)
        except NotServedError as error:
            refusal = refusal or error
    assert refusal is not None  # noqa: S101 - there is at least one path
    raise refusal


def _checked_file(video: IndexedVideo, path: str, folders: Sequence[str]) -> StoredFile:
    if is_remote(path):
        raise NotServedError("this video is at an address, which the server does not fetch; open the address itself")
    name = os.path.basename(path)  # noqa: PTH119 - the name as it is stored
    try:
        real = Path(path).resolve(strict=True)
        status = real.stat()
    # A loop of links is a RuntimeError in Python 3.11 and 3.12, and a name with a null character a ValueError.
    except (OSError, RuntimeError, ValueError) as error:
        raise NotServedError(f"{name} is gone, or cannot be reached") from error
    if not _is_within(real, Path(path), folders):
        raise NotServedError(f"{name} is reached by a link that leads out of the folders that were indexed")
    if not stat.S_ISREG(status.st_mode):
        raise NotServedError(f"{name} is no file any more")
    if video.facts.size is not None and video.facts.size != status.st_size:
        raise NotServedError(f"{name} has changed since it was indexed; index it again")
    return StoredFile(video.digest, real, name, status.st_size, status.st_mtime_ns, video.duration)


def _is_within(real: Path, path: Path, folders: Sequence[str]) -> bool:
    """Whether a file is, all links followed, in the indexed folder that its path names, or where its path says."""
    around = [Path(folder) for folder in folders if path.is_relative_to(folder)]
    if around:
        return any(real.is_relative_to(folder.resolve()) for folder in around)
    # A file that was named by itself.
    return real.parent == path.parent.resolve()
