"""What an index is, as `info` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from video_colbert.encoding.display import format_seconds
from video_colbert.index.passages.encode_passages import count_pending
from video_colbert.index.video_index import VideoIndex
from video_colbert.index.windows import WindowSettings, counted_videos


@dataclass(frozen=True, repr=False)
class IndexInfo:
    """What an index is, shown as a short table.

    Attributes:
        location: folder or address.
        model: the model that made it, and its revision.
        num_frames: frames sampled from each video; None for as many as there are.
        windows: how long videos are cut; None for videos as a whole.
        options: what else it was made with, such as the codec of its tokens.
        num_videos: files and URLs.
        num_entries: windows, and videos that are whole, which are scored; at least `num_videos`.
        seconds: what the videos last together.
        num_bytes: what the index takes where it is stored, earlier versions included; None where that is not known.
        folders: what was indexed, where it was given as folders.
        columns: what a search can filter by: by column, in words what it holds.
        number_formats: what its videos were encoded in, as far as that is known.
        num_passages: passages of what is said and written.
        text_model: the text model that made their tokens, and its revision; None where there are none.
        num_pending: passages that were read and are not encoded, or not removed, yet.
    """

    location: str
    model: str
    num_frames: int | None
    windows: WindowSettings | None
    options: Mapping[str, object]
    num_videos: int
    num_entries: int
    seconds: float
    num_bytes: int | None
    folders: tuple[str, ...]
    columns: Mapping[str, str]
    number_formats: tuple[str, ...]
    num_passages: int = 0
    text_model: str | None = None
    num_pending: int = 0

    def counted(self) -> str:
        """How much it holds, in words, such as "3 videos in 90 windows"."""
        return counted_videos(self.num_videos, self.num_entries)

    def __repr__(self) -> str:
        rows = {
            "location": self.location,
            "model": self.model,
            "encoded in": ", ".join(self.number_formats) or "not known",
            "frames": "all" if self.num_frames is None else self.num_frames,
            "windows": "none, each video as a whole" if self.windows is None else self.windows,
            **self.options,
            "holds": self.counted(),
            **self._passages(),
            "duration": format_seconds(self.seconds),
            "size": "not known" if self.num_bytes is None else _size_in_words(self.num_bytes),
            "folders": ", ".join(self.folders) or "none",
            "to filter by": ", ".join(f"{name} ({kind})" for name, kind in self.columns.items()),
        }
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())

    def _passages(self) -> dict[str, object]:
        rows: dict[str, object] = {}
        if self.text_model is not None:
            rows |= {"passages": self.num_passages, "text model": self.text_model}
        if self.num_pending:
            rows["not encoded yet"] = f"{self.num_pending} passages; name a --text-model to `index`"
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The same by attribute, ready for JSON."""
        return {
            **vars(self),
            "windows": None if self.windows is None else str(self.windows),
            "seconds": round(self.seconds, 3),
            "options": dict(self.options),
            "folders": list(self.folders),
            "columns": dict(self.columns),
            "number_formats": list(self.number_formats),
        }


def describe_index(stored: VideoIndex) -> IndexInfo:
    """What a store is, what it was made with and how much it holds.

    Args:
        stored: the store.

    Raises:
        IndexStoreError: it cannot be read or reached.
    """
    videos = stored.videos
    passages = stored.passages
    text_model = passages.model
    return IndexInfo(
        location=stored.location,
        model=str(stored.model),
        num_frames=stored.num_frames,
        windows=stored.windows,
        options=stored.options,
        num_videos=len({video.path for video in videos}),
        num_entries=len(videos),
        seconds=sum({video.path: video.duration for video in videos}.values()),
        num_bytes=stored.num_bytes,
        folders=stored.notes.folders,
        columns=stored.columns,
        number_formats=stored.notes.number_formats,
        num_passages=len(passages),
        text_model=None if text_model is None else str(text_model),
        num_pending=count_pending(passages, stored.readings),
    )


def _size_in_words(num_bytes: int) -> str:
    size, unit = float(num_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
