"""What is to be done with each file: read, told apart by content, cut into windows, decoded or left."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from video_colbert.encoding.decoding_pool import Outcome
from video_colbert.encoding.decoding_process import DecodeClip, ReadDigest, ReadDuration, Task
from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.media_files import is_remote
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.ingest.windows import WindowSettings, video_windows

Window: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True)
class PresentFile:
    """A file whose content is in the index under this path."""

    path: str


@dataclass(frozen=True)
class DuplicateFile:
    """A file with the same content as another one that is in the index or goes into it."""

    path: str


@dataclass(frozen=True)
class MovedFile:
    """A file whose content is in the index under a path where it is no more.

    Attributes:
        path: where it is now.
        ids: what is stored of it.
    """

    path: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class BadClip:
    """A file, or one window of it, that could not be read or decoded.

    Attributes:
        path: the file.
        video: what is wrong.
        is_whole: whether nothing else of the file will be encoded.
    """

    path: str
    video: BadVideo
    is_whole: bool


@dataclass
class _StoredFile:
    path: str
    duration: float
    ids: dict[Window, str] = field(default_factory=dict)


class StoredFiles:
    """What an index holds, by content and by path.

    Args:
        videos: the index's videos and windows.
    """

    def __init__(self, videos: Iterable[IndexedVideo]) -> None:
        self.by_digest: dict[str, _StoredFile] = {}
        self.paths: set[str] = set()
        for video in videos:
            stored = self.by_digest.setdefault(video.digest, _StoredFile(video.path, video.duration))
            stored.ids[video.start, video.end] = video.id
            self.paths.add(video.path)


@dataclass
class PlannedFile:
    """A file that is being encoded.

    Attributes:
        digest: of its content.
        windows: all that are to be in the index.
        remaining: how many of them are still to come out of the encoder.
    """

    digest: str
    windows: list[Window]
    remaining: int


class IndexingPlan:
    """Turns files into tasks for decoding processes; a `TaskSource`.

    Files at a path that the index knows are read first, since what they hold now says whether another file of
    the same content was moved or copied; of them, those that changed are encoded last, when what moved has been
    recorded. All others are encoded as soon as they are read.

    Args:
        files: paths or URLs, each once.
        stored: what the index holds.
        windows: how long videos are cut; None for not at all.
        emit: takes `PresentFile`, `DuplicateFile`, `MovedFile` and `BadClip`.
        files_ahead: files and clips that may be known without being decoded yet.

    Attributes:
        files: of each path that is encoded or was found complete, what is to be in the index.
        digests: of each path that the index knew, what its content is now; bad files are not in it.
    """

    def __init__(
        self,
        files: Sequence[str],
        stored: StoredFiles,
        windows: WindowSettings | None,
        emit: Callable[[object], None],
        files_ahead: int,
    ) -> None:
        self.files: dict[str, PlannedFile] = {}
        self._stored = stored.by_digest
        self._settings = windows
        self._emit = emit
        self._known = deque(path for path in files if path in stored.paths)
        self._new = deque(path for path in files if path not in stored.paths)
        self._changed: deque[tuple[str, str]] = deque()
        self.digests: dict[str, str] = dict.fromkeys(self._known, "")
        self._files_ahead = files_ahead
        self._known_are_decided = False
        self._chosen: set[str] = set()
        self._reading = 0
        # By the process that read the file, where it may still be open.
        self._ready: dict[int, deque[Task]] = defaultdict(deque)
        self._num_ready = 0

    @property
    def is_finished(self) -> bool:
        """Whether all tasks have been given out and none can follow."""
        waiting = self._known or self._new or self._changed or self._num_ready
        return not (waiting or self._reading) and self._known_are_decided

    def next_task(self, process: int, *, slot_is_free: bool) -> Task | None:
        """As `TaskSource.next_task`: first what this process has open, then further files, then what others read."""
        self._advance()
        task = self._take_ready(process, slot_is_free)
        if task is None and self._reading + self._num_ready < self._files_ahead:
            path = self._next_file()
            if path is not None:
                self._reading += 1
                return ReadDigest(path)
        if task is None and self._num_ready:
            busiest = max(self._ready, key=lambda reader: len(self._ready[reader]))
            task = self._take_ready(busiest, slot_is_free)
        return task

    def finish(self, task: Task, outcome: Outcome, process: int) -> None:
        """As `TaskSource.finish`."""
        path = task.source
        if isinstance(outcome, BadVideo):
            if not isinstance(task, DecodeClip):
                self._reading -= 1
                self.digests.pop(path, None)
                self._emit(BadClip(path, outcome, is_whole=True))
            else:
                self._emit(BadClip(path, outcome, is_whole=False))
        elif isinstance(task, ReadDigest) and isinstance(outcome, str):
            self._reading -= 1
            if path in self.digests:
                self.digests[path] = outcome
            else:
                self._decide(path, outcome, process)
        elif isinstance(task, ReadDuration) and isinstance(outcome, float):
            self._reading -= 1
            self._encode(path, self.files[path].digest, video_windows(outcome, self._settings), (), process)

    def _advance(self) -> None:
        """Goes on to the next kind of files when all of the one before are known."""
        if self._known or self._reading:
            return
        if not self._known_are_decided:
            self._known_are_decided = True
            for path, digest in self.digests.items():
                self._decide(path, digest, -1)
        elif not self._new and not self._reading:
            while self._changed:
                self._begin(*self._changed.popleft(), -1)

    def _next_file(self) -> str | None:
        if self._known:
            return self._known.popleft()
        return self._new.popleft() if self._new and self._known_are_decided else None

    def _take_ready(self, reader: int, slot_is_free: bool) -> Task | None:
        ready = self._ready[reader]
        if not ready or (isinstance(ready[0], DecodeClip) and not slot_is_free):
            return None
        self._num_ready -= 1
        return ready.popleft()

    def _add_ready(self, process: int, tasks: Sequence[Task]) -> None:
        self._ready[process].extend(tasks)
        self._num_ready += len(tasks)

    def _decide(self, path: str, digest: str, process: int) -> None:
        stored = self._stored.get(digest)
        if digest in self._chosen:
            self._emit(DuplicateFile(path))
        elif stored is None:
            self._chosen.add(digest)
            if path in self.digests:
                self._changed.append((path, digest))
            else:
                self._begin(path, digest, process)
        elif stored.path != path and self._holds(stored.path, digest):
            self._emit(DuplicateFile(path))
        else:
            self._chosen.add(digest)
            self._encode(path, digest, video_windows(stored.duration, self._settings), stored.ids, process)
            if stored.path != path:
                self._emit(MovedFile(path, tuple(stored.ids.values())))
            elif not self.files[path].remaining:
                self._emit(PresentFile(path))

    def _begin(self, path: str, digest: str, process: int) -> None:
        if self._settings is None:
            self._encode(path, digest, video_windows(0.0, None), (), process)
        else:
            self.files[path] = PlannedFile(digest, [], 0)
            self._reading += 1
            self._add_ready(process, [ReadDuration(path)])

    def _encode(self, path: str, digest: str, windows: list[Window], stored: Iterable[Window], process: int) -> None:
        present = set(stored)
        missing = [window for window in windows if window not in present]
        self.files[path] = PlannedFile(digest, windows, len(missing))
        self._add_ready(process, [DecodeClip(path, start, end) for start, end in missing])

    def _holds(self, path: str, digest: str) -> bool:
        """Whether a file still has this content; one that is not among the given files is not read again."""
        if path in self.digests:
            return self.digests[path] == digest
        return is_remote(path) or Path(path).exists()
