"""What an index that is served is at the moment: what it holds, what of it is bad or gone, and what is being added."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from video_colbert.index.index_info import describe_index
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.ingest.pruning import find_gone
from video_colbert.index.video_index import VideoIndex

# Files that are named; of more, only the number is given.
_NAMED = 100
# Values of a column that are listed; one with more is searched by typing.
_LISTED = 50
# How long what takes a look at every file is kept.
_SECONDS_KEPT = 30.0


@dataclass(frozen=True)
class Progress:
    """How far the work on an index in the background is.

    Attributes:
        done: files that are done, those in work by their share.
        total: files that there are to do; 0 where it is not known yet.
        text: the same in words.
    """

    done: float = 0.0
    total: int = 0
    text: str = ""


@dataclass(frozen=True)
class IndexState:
    """What an index is at the moment.

    Nothing in it has the key `path`: clients of Gradio take an object with one for a file to be fetched.

    Attributes:
        name: by which it is asked.
        model: the model that made it, and its revision.
        zero_shot: whether that model was never trained on clips, so that words are not told apart.
        videos: files and URLs.
        windows: windows and whole videos, which are scored; at least `videos`.
        seconds: what the videos last together.
        passages: passages of what is said and written.
        sources: what can be asked, such as "video" and "speech".
        columns: what a search can filter by: the name of each column, and in words what it holds.
        values: what text columns of metadata hold, by column, where that is little.
        folders: what was indexed, where it was given as folders.
        bad: files that could not be read with the reason, the first of them.
        num_bad: how many there are.
        gone: files of the folders that are no longer there, the first of them.
        num_gone: how many there are.
        progress: how far the work in the background is; None where there is none.
        notices: what that work said when it ended, or why it failed.
    """

    name: str
    model: str
    zero_shot: bool
    videos: int
    windows: int
    seconds: float
    passages: int
    sources: tuple[str, ...]
    columns: tuple[dict[str, str], ...] = field(hash=False)
    values: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    folders: tuple[str, ...] = ()
    bad: tuple[dict[str, str], ...] = ()
    num_bad: int = 0
    gone: tuple[str, ...] = ()
    num_gone: int = 0
    progress: Progress | None = None
    notices: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same by attribute, ready for JSON."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


class GoneFiles:
    """The files that an index holds and that are no longer there, looked for now and then.

    Args:
        stored: the index.
    """

    def __init__(self, stored: VideoIndex) -> None:
        self._stored = stored
        self._found: Sequence[str] = ()
        self._looked = float("-inf")

    def find(self) -> Sequence[str]:
        """Their paths, as of half a minute ago at most.

        Raises:
            IndexStoreError: the index cannot be read.
        """
        if time.monotonic() - self._looked > _SECONDS_KEPT:
            self._found = find_gone(self._stored, self._stored.notes.folders)
            self._looked = time.monotonic()
        return self._found


def describe_state(
    name: str,
    stored: VideoIndex,
    *,
    sources: Sequence[str],
    zero_shot: bool,
    gone: Sequence[str],
    bad: Sequence[tuple[str, str]],
    progress: Progress | None,
    notices: Sequence[str],
) -> IndexState:
    """What an index is at the moment.

    Args:
        name: by which it is asked.
        stored: the index.
        sources: what can be asked.
        zero_shot: whether its model was never trained on clips.
        gone: files that are no longer there.
        bad: files that could not be read in this run of the server, with the reason; beside those that the index
            notes.
        progress: how far the work in the background is.
        notices: what it said.

    Raises:
        IndexStoreError: the index cannot be read or reached.
    """
    info = describe_index(stored)
    reasons = {file.path: file.reason for file in stored.notes.bad_files} | dict(bad)
    return IndexState(
        name=name,
        model=info.model,
        zero_shot=zero_shot,
        videos=info.num_videos,
        windows=info.num_entries,
        seconds=info.seconds,
        passages=info.num_passages,
        sources=tuple(sources),
        columns=tuple({"name": column, "holds": holds} for column, holds in info.columns.items()),
        values=_values(stored.videos),
        folders=info.folders,
        bad=tuple({"video": path, "reason": reason} for path, reason in sorted(reasons.items())[:_NAMED]),
        num_bad=len(reasons),
        gone=tuple(gone[:_NAMED]),
        num_gone=len(gone),
        progress=progress,
        notices=tuple(notices),
    )


def _values(videos: Sequence[IndexedVideo]) -> dict[str, tuple[str, ...]]:
    """The values of each text column that holds few."""
    found: dict[str, set[str]] = {}
    for video in videos:
        for column, value in video.metadata.items():
            if isinstance(value, str) and len(values := found.setdefault(column, set())) <= _LISTED:
                values.add(value)
    return {column: tuple(sorted(values)) for column, values in found.items() if len(values) <= _LISTED}
