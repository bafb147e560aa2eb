"""The videos of an index where nothing is looked for: the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from video_colbert.app.answers.search_answer import folder_and_name
from video_colbert.app.media.playable import plays_as_it_is
from video_colbert.encoding.media_files import is_gone
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.video_index import VideoIndex


@dataclass(frozen=True)
class VideoList:
    """Some videos of an index.

    Attributes:
        index: the name of the index.
        total: how many videos there are to list.
        videos: those that are listed, in their order; of a video in windows, any of them.
        playable: for each, whether a browser plays the file as it is; else it takes an excerpt.
    """

    index: str
    total: int
    videos: tuple[IndexedVideo, ...]
    playable: tuple[bool, ...]

    def as_json(self) -> dict[str, Any]:
        """The list ready for JSON; a video has the names of a hit, as far as they are not of a query."""
        return {
            "index": self.index,
            "total": self.total,
            "videos": [
                _video_json(video, playable) for video, playable in zip(self.videos, self.playable, strict=True)
            ],
        }


def list_newest(name: str, stored: VideoIndex, count: int, where: str = "") -> VideoList:
    """The videos whose files were changed last, the newest first, and after them those of which that is not known.

    Args:
        name: of the index.
        stored: the index.
        count: videos, at most.
        where: a condition that they satisfy; empty for all.

    Raises:
        FilterError: the condition is not understood, or asks for a column that the index does not have.
        IndexStoreError: the index cannot be read or reached.
    """
    rows: Sequence[IndexedVideo] = stored.videos_where(where) if where.strip() else stored.videos
    found = {video.path: video for video in reversed(rows)}
    in_order = sorted(found.values(), key=lambda video: (-(video.facts.modified or 0.0), video.path))
    listed = tuple(in_order[:count])
    return VideoList(name, len(found), listed, tuple(plays_as_it_is(video.path) for video in listed))


def _video_json(video: IndexedVideo, playable: bool) -> dict[str, Any]:
    folder, name = folder_and_name(video.path)
    duration = round(video.duration, 3)
    return {
        "video": video.path,
        "id": video.digest,
        "name": name,
        "folder": folder,
        "modified": video.facts.modified,
        "duration": duration,
        "start": 0.0,
        "end": duration,
        "playable": playable,
        "gone": is_gone(video.path),
        "metadata": dict(video.metadata),
    }
