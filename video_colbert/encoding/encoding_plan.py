"""A plan of what is to be read and encoded: its tasks, their outcomes, and what follows from each.

Importing this loads no torch, so that a run that has nothing to encode needs none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.media_files import FileState
from video_colbert.encoding.scene_changes import VideoScenes

DEFAULT_TIMEOUT_SECONDS = 600.0
"""Seconds after which a file that is read or decoded is given up."""

EventT_co = TypeVar("EventT_co", covariant=True)


@dataclass(frozen=True)
class ReadDigest:
    """Asks for the SHA-256 of a file and what else it tells; the answer is a `FileState`.

    Attributes:
        source: path or URL.
        with_frame_size: whether the size of its frames is wanted, for which one is decoded.
    """

    source: str
    with_frame_size: bool = False


@dataclass(frozen=True)
class ReadScenes:
    """Asks for the length of a video and for where its scenes change; the answer is a `VideoScenes`.

    Attributes:
        source: path or URL of a file.
        longer_than: seconds beyond which scene changes are looked for; None for not at all.
    """

    source: str
    longer_than: float | None


Task: TypeAlias = ReadDigest | ReadScenes | VideoClip
"""What a decoding process is asked of a file."""

Outcome: TypeAlias = FileState | VideoScenes | EncodedVideo | BadVideo
"""Of a digest, of scenes, of a clip; of whatever is bad."""


class EncodingPlan(Protocol[EventT_co]):
    """What is to be read and encoded, and what follows from each outcome; called by one thread."""

    def next_task(self) -> Task | None:
        """A further file's first task; None for none now, and for good once all outcomes have been taken."""

    def take(self, task: Task, outcome: Outcome) -> Iterable[Task | EventT_co]:
        """What follows from an outcome: further tasks of the file, and events for whoever runs the plan."""
