"""What an index holds, content by content, as a plan asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.windows import Window


@dataclass
class StoredContent:
    """What an index holds of one content.

    Attributes:
        path: the file that stands for it.
        duration: of the video, in seconds.
        copies: other files that had the same content when they were last read.
        has_frame_size: whether the size of its frames is known.
        ids: by window.
    """

    path: str
    duration: float
    copies: tuple[str, ...] = ()
    has_frame_size: bool = True
    ids: dict[Window, str] = field(default_factory=dict)


def stored_contents(videos: Iterable[IndexedVideo]) -> dict[str, StoredContent]:
    """What an index holds, by digest.

    Args:
        videos: the index's videos and windows.
    """
    contents: dict[str, StoredContent] = {}
    for video in videos:
        has_frame_size = video.facts.width is not None
        stored = contents.setdefault(
            video.digest, StoredContent(video.path, video.duration, video.copies, has_frame_size)
        )
        stored.ids[video.start, video.end] = video.id
    return contents
