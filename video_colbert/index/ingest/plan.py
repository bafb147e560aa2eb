"""What is to be done with each file: read, told apart by content, cut into windows, decoded or left."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from video_colbert.dataset_builders.video_files import is_unicode
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoding_plan import EncodingPlan, Outcome, ReadDigest, ReadScenes, Task
from video_colbert.encoding.media_files import FileState, is_remote, public_name
from video_colbert.encoding.scene_changes import VideoScenes
from video_colbert.index.index_notes import BadFile
from video_colbert.index.indexed_video import FileFacts
from video_colbert.index.ingest.bad_memory import KnownBadFiles
from video_colbert.index.ingest.contextual_texts import NO_TEXTS, ContextualTexts
from video_colbert.index.ingest.cutting import Cutter
from video_colbert.index.ingest.events import (
    Bad,
    Duplicate,
    Encoded,
    FileContent,
    IngestEvent,
    Moved,
    Present,
    Renewed,
    StaysBad,
)
from video_colbert.index.ingest.file_in_work import FileInWork
from video_colbert.index.ingest.stored_content import StoredContent
from video_colbert.index.windows import Window, WindowSettings


class IngestPlan(EncodingPlan[IngestEvent]):
    """Turns files into tasks, and their outcomes into events; an `EncodingPlan`.

    Files that the index knows are read first, since what they hold now says whether another file of the same content
    was moved or copied. Files that are new to it are encoded as soon as they are read, and those that changed last,
    when what moved has been recorded. A file that the index knows and that is not among the given ones is read where
    it matters what it still holds.

    Args:
        files: paths or URLs; a signed URL is known by its public name, and read where it was given.
        stored: what the index holds, as of `stored_contents`.
        windows: how long videos are cut; None for not at all.
        known_bad: by digest, what is not to be tried again.
        texts: what contents are encoded with beside their pictures.

    Attributes:
        files_done: how many of the files are dealt with.
        windows_begun: how many windows those files have that are, or were, encoded in several.
        windows_done: how many of these are dealt with.
    """

    def __init__(
        self,
        files: Sequence[str],
        stored: Mapping[str, StoredContent],
        windows: WindowSettings | None,
        known_bad: Mapping[str, BadFile] | None = None,
        texts: ContextualTexts = NO_TEXTS,
    ) -> None:
        self.files_done = self.windows_begun = self.windows_done = 0
        self._stored = stored
        self._cutter = Cutter(windows)
        self._texts = texts
        self._known_bad = KnownBadFiles(known_bad or {})
        self._addresses = {public_name(file): file for file in files}
        names = list(self._addresses)
        self._given = frozenset(names)
        self._known_paths = {path for content in stored.values() for path in (content.path, *content.copies)}
        self._known = [path for path in names if path in self._known_paths]
        # Indexes of earlier releases do not hold it.
        self._without_frame_size = {content.path for content in stored.values() if not content.has_frame_size}
        self._new = [path for path in names if path not in self._known_paths]
        self._changed: list[tuple[str, str]] = []
        self._phases: deque[Callable[[], Iterator[Task | IngestEvent]]] = deque(
            (self._read_copies, self._decide_known, self._read_new, self._begin_changed)
            if self._known
            else (self._begin_changed,)
        )
        self._to_read = deque(self._known or self._new)
        self._num_reading = 0
        self._given_back: deque[Task] = deque()
        # What each file was found to hold; None for one that could not be read.
        self._digests: dict[str, str | None] = {}
        self._facts: dict[str, FileFacts] = {}
        # Files that are decided on once another one is read.
        self._waiting_for: dict[str, list[str]] = {}
        # The file that stands for a content.
        self._owners: dict[str, str] = {}
        self._in_work: dict[str, FileInWork] = {}
        # Files of which some windows are stored, while it is found out how they are cut.
        self._incomplete: dict[str, StoredContent] = {}
        # Further files of each content that is being encoded, or of which nothing could be.
        self._duplicates: dict[str, list[str]] = {}
        self._bad_contents: dict[str, BadVideo] = {}

    @property
    def work_done(self) -> float:
        """How many of the files are dealt with, those in work by the share of their windows."""
        return self.files_done + sum(work.share_done for work in self._in_work.values())

    @property
    def has_given_back(self) -> bool:
        """Whether tasks that were given back wait to be given out again."""
        return bool(self._given_back)

    def give_back(self, task: Task) -> None:
        """Takes back a task that was given out, for whoever asks next."""
        self._given_back.append(task)

    def next_task(self) -> Task | None:
        """As `EncodingPlan.next_task`: a file to be read, or a task that was given back."""
        if self._given_back:
            return self._given_back.popleft()
        if not self._to_read:
            return None
        self._num_reading += 1
        return self._reading(self._to_read.popleft())

    def take(self, task: Task, outcome: Outcome) -> Iterator[Task | IngestEvent]:
        """As `EncodingPlan.take`."""
        source = str(task.source)
        path = public_name(source)
        if isinstance(outcome, BadVideo):
            reason = outcome.reason.replace(source, path)
            outcome = replace(outcome, source=outcome.source.replace(source, path), reason=reason)
        if isinstance(task, VideoClip):
            if isinstance(outcome, EncodedVideo | BadVideo):
                yield from self._take_clip(path, (task.start, task.end), outcome)
        elif isinstance(task, ReadScenes):
            if isinstance(outcome, VideoScenes | BadVideo):
                yield from self._take_scenes(path, outcome)
        elif isinstance(outcome, FileState | BadVideo):
            yield from self._take_state(path, outcome)
        while self._phases and not self._to_read and not self._num_reading:
            yield from self._phases.popleft()()

    def _take_state(self, path: str, outcome: FileState | BadVideo) -> Iterator[Task | IngestEvent]:
        self._num_reading -= 1
        if not is_unicode(path):
            outcome = BadVideo(path, "its name is not UTF-8, so that no index can hold it; rename it")
        self._digests[path] = None
        if isinstance(outcome, FileState):
            self._digests[path] = outcome.digest
            self._facts[path] = FileFacts(outcome.size, outcome.modified, *(outcome.frame_size or (None, None)))
        if path in self._given:
            if isinstance(outcome, BadVideo):
                yield self._end_bad(path, outcome)
            elif path not in self._known_paths:
                yield from self._decide(path, outcome.digest)
        for waiting in self._waiting_for.pop(path, ()):
            digest = self._digests[waiting]
            if digest is not None:
                yield from self._decide(waiting, digest)

    def _read_copies(self) -> Iterator[Task | IngestEvent]:
        """Has copies read that may have to stand for a content whose file has another one now."""
        read = set(self._digests.values())
        for digest, stored in self._stored.items():
            if digest not in read and stored.path in self._given:
                self._to_read.extend(path for path in stored.copies if self._still_holds(path, digest) is None)
        yield from ()

    def _decide_known(self) -> Iterator[Task | IngestEvent]:
        for path in self._known:
            digest = self._digests[path]
            if digest is not None:
                yield from self._decide(path, digest)
        for digest, stored in self._stored.items():
            if digest not in self._owners and stored.path in self._given:
                yield from self._take_over(digest, stored)

    def _read_new(self) -> Iterator[Task | IngestEvent]:
        self._to_read.extend(self._new)
        yield from ()

    def _begin_changed(self) -> Iterator[Task | IngestEvent]:
        for path, digest in self._changed:
            yield from self._begin(path, digest)

    def _decide(self, path: str, digest: str) -> Iterator[Task | IngestEvent]:
        """Says what is to be done with a file that was read."""
        stored, owner = self._stored.get(digest), self._owners.get(digest)
        if stored is None and (known_bad := self._known_bad.as_a_whole(path, digest)) is not None:
            self.files_done += 1
            yield known_bad
            return
        if owner is None and stored is not None and stored.path != path:
            still_holds = self._still_holds(stored.path, digest)
            if still_holds is None:
                yield from self._decide_later(path, stored.path)
                return
            owner = stored.path if still_holds else None
        owner = self._owners[digest] = owner or path
        if owner != path:
            yield from self._leave_to_owner(path, digest)
        elif stored is not None:
            yield from self._complete(path, digest, stored)
        else:
            self._duplicates[digest] = []
            if path in self._known_paths:
                self._changed.append((path, digest))
            else:
                yield from self._begin(path, digest)

    def _decide_later(self, path: str, other: str) -> Iterator[Task]:
        """Puts a file off until it is known what another one holds."""
        if other not in self._waiting_for:
            self._num_reading += 1
            yield self._reading(other)
        self._waiting_for.setdefault(other, []).append(path)

    def _take_over(self, digest: str, stored: StoredContent) -> Iterator[IngestEvent]:
        """Lets a copy stand for a content whose file has another one now; keeps what is stored where there is none."""
        if self._still_holds(stored.path, digest):
            return
        for path in stored.copies:
            if self._still_holds(path, digest):
                self._owners[digest] = path
                yield Moved(self._content(path, digest, tuple(stored.ids)), tuple(stored.ids.values()))
                return

    def _complete(self, path: str, digest: str, stored: StoredContent) -> Iterator[Task | IngestEvent]:
        """Leaves what is stored of a file, and encodes the windows that are not."""
        windows = self._cutter.stored_windows(path, stored, self._known_bad.windows(digest))
        if windows is not None:
            yield from self._complete_windows(path, digest, stored, windows)
        elif (question := self._cutter.question(self._address(path))) is not None:
            # Until it is answered, what changed has to wait: it may take the place of what moves here.
            self._num_reading += 1
            self._incomplete[path] = stored
            yield question

    def _complete_windows(
        self, path: str, digest: str, stored: StoredContent, windows: tuple[Window, ...] | BadVideo
    ) -> Iterator[Task | IngestEvent]:
        if isinstance(windows, BadVideo):
            yield self._end_bad(path, windows)
            return
        content = self._content(path, digest, windows)
        if stored.path != path:
            yield Moved(content, tuple(stored.ids.values()))
        is_due = digest in self._texts.due
        missing = [window for window in windows if is_due or window not in stored.ids]
        if any(window not in self._known_bad.windows(digest) for window in missing):
            self._duplicates[digest] = []
            yield from self._encode(content, missing, has_good=is_due or len(missing) < len(windows))
            return
        self.files_done += 1
        if stored.path == path:
            yield Present(content)
        if missing:
            yield self._known_bad.in_windows(content)

    def _begin(self, path: str, digest: str) -> Iterator[Task | IngestEvent]:
        """Encodes a file of which nothing is stored."""
        question = self._cutter.question(self._address(path))
        if question is not None:
            yield question
        else:
            yield from self._encode(self._content(path, digest, ((None, None),)), [(None, None)])

    def _take_scenes(self, path: str, outcome: VideoScenes | BadVideo) -> Iterator[Task | IngestEvent]:
        digest = self._digests[path] or ""
        windows = outcome if isinstance(outcome, BadVideo) else self._cutter.windows(path, outcome)
        if path in self._incomplete:
            self._num_reading -= 1
            yield from self._complete_windows(path, digest, self._incomplete.pop(path), windows)
            return
        if isinstance(windows, tuple):
            yield from self._encode(self._content(path, digest, windows), windows)
            return
        yield self._end_bad(path, windows)
        if windows.is_lasting:
            yield StaysBad(BadFile(digest, path, windows.reason))
        yield from self._settle(digest, windows)

    def _encode(
        self, content: FileContent, windows: Iterable[Window], *, has_good: bool = False
    ) -> Iterator[Task | IngestEvent]:
        known_bad = self._known_bad.windows(content.digest)
        if known_bad:
            yield self._known_bad.in_windows(content)
        address, of_window = self._address(content.path), functools.partial(self._texts.of_window, content.digest)
        clips = [VideoClip(address, *window, of_window(window)) for window in windows if window not in known_bad]
        self._in_work[content.path] = FileInWork(content, len(clips), has_good)
        self.windows_begun += len(clips) if len(content.windows) > 1 else 0
        yield from clips

    def _take_clip(self, path: str, window: Window, outcome: EncodedVideo | BadVideo) -> Iterator[IngestEvent]:
        work = self._in_work[path]
        work.take(window, outcome)
        self.windows_done += len(work.content.windows) > 1
        stored = self._stored.get(work.content.digest)
        encoded = Encoded if stored is None or window not in stored.ids else Renewed
        yield Bad(path, outcome) if isinstance(outcome, BadVideo) else encoded(work.content, outcome)
        if not work.remaining:
            del self._in_work[path]
            self.files_done += 1
            if (stays_bad := work.to_remember()) is not None:
                yield StaysBad(stays_bad)
            yield from self._settle(work.content.digest, None if work.has_good else work.bad)

    def _leave_to_owner(self, path: str, digest: str) -> Iterator[IngestEvent]:
        if digest in self._duplicates:
            self._duplicates[digest].append(path)
        else:
            yield self._end_duplicate(path, digest)

    def _settle(self, digest: str, bad: BadVideo | None) -> Iterator[IngestEvent]:
        """Says of further files of a content, once it is encoded, that they have it too, or that they are as bad."""
        if bad is not None:
            self._bad_contents[digest] = bad
        for path in self._duplicates.pop(digest):
            yield self._end_duplicate(path, digest)

    def _end_duplicate(self, path: str, digest: str) -> IngestEvent:
        if digest in self._bad_contents:
            return self._end_bad(path, BadVideo(path, self._bad_contents[digest].reason))
        self.files_done += 1
        return Duplicate(self._content(path, digest), self._owners[digest])

    def _end_bad(self, path: str, video: BadVideo) -> Bad:
        self.files_done += 1
        return Bad(path, video)

    def _reading(self, path: str) -> ReadDigest:
        return ReadDigest(self._address(path), with_frame_size=path in self._without_frame_size)

    def _content(self, path: str, digest: str, windows: tuple[Window, ...] = ()) -> FileContent:
        return FileContent(path, digest, windows, self._facts.get(path, FileFacts()))

    def _address(self, path: str) -> str:
        """Where a file is read: its path, or the URL that it was given by."""
        return self._addresses.get(path, path)

    def _still_holds(self, path: str, digest: str) -> bool | None:
        """Whether a file has this content; None where it would have to be read."""
        if self._digests.get(path) is not None:
            return self._digests[path] == digest
        if is_remote(path):
            return True
        # One that is there but could not be read is believed to be what it was.
        is_there = Path(path).exists()
        return is_there if path in self._digests or not is_there else None
