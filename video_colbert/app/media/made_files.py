"""Pictures, excerpts and cuts of the videos of an index, made when they are asked for and kept for a while."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from video_colbert.app.media.stored_files import StoredFile
from video_colbert.app.service_query import check_range
from video_colbert.errors import QueryError
from video_colbert.excerpts import ExcerptCache

MOST_SECONDS = 600.0
"""Seconds of an excerpt or cut, at most."""
_HEIGHTS = (16, 1080)
_MOST_BYTES = 2 * 2**30
_SECONDS_OF_A_WORK = 300.0


class MadeFiles:
    """A folder of what was made of stored files, which goes with the server; use it by one process.

    Everything is made by processes of its own, two at a time.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="video_colbert_", ignore_cleanup_errors=True)
        self._cache = ExcerptCache(Path(self._folder.name, "made"), _MOST_BYTES, time_limit=_SECONDS_OF_A_WORK)

    def picture(self, file: StoredFile, second: float, height: int) -> Path:
        """The frame on show at a second, as a JPEG file.

        Args:
            file: the video.
            second: from its start; beyond its end, the last frame.
            height: in pixels.

        Raises:
            QueryError: a number is out of range.
            ExcerptError: there is no such frame.
        """
        least, most = _HEIGHTS
        if not least <= height <= most:
            raise QueryError(f"h must be a height from {least} to {most} pixels, got {height}")
        if not math.isfinite(second) or second < 0.0:
            raise QueryError(f"t must be a number of seconds from 0 on, got {second}")
        return self._cache.picture(file.path, min(second, file.duration), height)

    def excerpt(self, file: StoredFile, start: float, end: float) -> Path:
        """A stretch as an mp4 file that every browser plays.

        Args:
            file: the video.
            start: in seconds.
            end: in seconds; beyond the video's end it is that.

        Raises:
            QueryError: it is no stretch of the video, or too long.
            ExcerptError: it cannot be made.
        """
        return self._cache.excerpt(file.path, start, _checked_end(file, start, end))

    def cut(self, file: StoredFile, start: float, end: float, *, exact: bool) -> Path:
        """A stretch as a file to keep.

        Args:
            file: the video.
            start: in seconds.
            end: in seconds; beyond the video's end it is that.
            exact: whether it has the frames of the stretch and no others; else it may begin earlier, at a keyframe.

        Raises:
            QueryError: as `excerpt`.
            ExcerptError: likewise.
        """
        return self._cache.cut(file.path, start, _checked_end(file, start, end), exact=exact)

    def close(self) -> None:
        """Removes the folder."""
        self._folder.cleanup()


def _checked_end(file: StoredFile, start: float, end: float) -> float:
    """The end of a stretch, at most that of the video.

    Raises:
        QueryError: it is no stretch of the video, or too long.
    """
    check_range(start, end)
    end = min(end, file.duration)
    if start >= end:
        raise QueryError(f"the start, {start:g} s, must be before the video's end, {file.duration:g} s")
    if end - start > MOST_SECONDS:
        raise QueryError(f"{end - start:.0f} s are asked for; at most {MOST_SECONDS:.0f} s are made at once")
    return end
