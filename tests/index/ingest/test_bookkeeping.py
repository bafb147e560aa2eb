"""Any order of writes, moves, copies, removals and partial runs of the index, against a model of what files hold."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import tempfile
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.index.made_videos import MODEL, make_video
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoding_plan import EncodingPlan, Outcome, ReadDigest, ReadScenes, Task
from video_colbert.encoding.media_files import FileState
from video_colbert.encoding.scene_changes import VideoScenes
from video_colbert.index import IndexedVideo, WindowSettings, index_videos, prune_videos, video_windows
from video_colbert.index.index_notes import IndexNotes
from video_colbert.index.indexed_video import FileFacts
from video_colbert.index.ingest.events import IngestEvent
from video_colbert.index.search.interaction import INTERACTIONS

NAMES = ("x/a", "x/b", "x/c", "y/d", "y/e")
# What a file may hold: its name says how many seconds it lasts, and whether it decodes.
CONTENTS = ("1 red", "1 blue", "4 long", "4 other", "1 bad", "4 bad")
WINDOWS = (None, WindowSettings(2.0), WindowSettings(kind="shots"))

names = st.sampled_from(NAMES)
contents = st.sampled_from(CONTENTS)


def digest_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def scene_changes_of(content: str) -> tuple[float, ...]:
    return (1.5,) if content[0] == "4" else ()


def is_good(content: str) -> bool:
    return "bad" not in content


class MadeEncoder:
    """Stands in for decoding processes and a model: answers from the files' few bytes, in an order that is drawn."""

    def __init__(self, encoders: object, **options: object) -> None:
        self.order = random.Random(7)

    def __enter__(self) -> MadeEncoder:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def run(self, plan: EncodingPlan[IngestEvent]) -> Iterator[IngestEvent]:
        waiting: deque[Task] = deque()
        while True:
            while (task := plan.next_task()) is not None:
                waiting.append(task)
            if not waiting:
                return
            waiting.rotate(self.order.randrange(len(waiting)))
            task = waiting.popleft()
            for step in plan.take(task, self.outcome(task)):
                if isinstance(step, ReadDigest | ReadScenes | VideoClip):
                    waiting.append(step)
                else:
                    yield step

    def stop(self, plan: EncodingPlan[IngestEvent]) -> Iterator[IngestEvent]:
        yield from ()

    @staticmethod
    def outcome(task: Task) -> Outcome:
        path = Path(str(task.source))
        if not path.exists():
            return BadVideo(str(path), "there is no such file")
        content = path.read_text()
        if isinstance(task, ReadDigest):
            frame_size = (len(content), 9) if task.with_frame_size else None
            return FileState(digest_of(content), path.stat().st_size, path.stat().st_mtime, frame_size)
        if isinstance(task, ReadScenes):
            return VideoScenes(float(content[0]), scene_changes_of(content))
        if not is_good(content):
            return BadVideo(str(path), "does not decode", is_lasting=True)
        _, encoded = make_video("any.mp4")
        return dataclasses.replace(encoded, clip=task, duration=float(content[0]), frame_size=(len(content), 9))


class IndexInMemory:
    """What an index keeps of videos, by the rules that `VideoIndex` states."""

    location, model, num_frames, interactions = "memory", MODEL, None, INTERACTIONS

    def __init__(self, windows: WindowSettings | None) -> None:
        self.windows = windows
        self.notes = IndexNotes()
        self.by_id: dict[str, IndexedVideo] = {}

    @property
    def videos(self) -> tuple[IndexedVideo, ...]:
        return tuple(self.by_id.values())

    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> None:
        ids = {video.id for video, _ in videos}
        places = {(video.path, video.start, video.end) for video, _ in videos}
        for stored in self.videos:
            if (stored.path, stored.start, stored.end) in places and stored.id not in ids:
                del self.by_id[stored.id]
        for video, _ in videos:
            self.by_id.setdefault(video.id, video)

    def move(self, paths: Mapping[str, str]) -> None:
        for video_id, path in paths.items():
            self.by_id[video_id] = dataclasses.replace(self.by_id[video_id], path=path)

    def set_copies(self, copies: Mapping[str, Sequence[str]]) -> None:
        for video_id, paths in copies.items():
            self.by_id[video_id] = dataclasses.replace(self.by_id[video_id], copies=tuple(paths))

    def set_notes(self, notes: IndexNotes) -> None:
        self.notes = notes

    def set_facts(self, facts: Mapping[str, FileFacts]) -> None:
        for video_id, of_file in facts.items():
            self.by_id[video_id] = dataclasses.replace(self.by_id[video_id], facts=of_file)

    def remove(self, ids: Collection[str]) -> int:
        return len([self.by_id.pop(video_id) for video_id in set(ids) & self.by_id.keys()])

    def check_metadata(self, values: Iterable[object]) -> None: ...

    def set_metadata(self, values: object) -> None: ...


class FilesAndIndex(RuleBasedStateMachine):
    """Files come, change and go, and some of them are indexed now and then."""

    @initialize(windows=st.sampled_from(WINDOWS))
    def begin(self, windows: WindowSettings | None) -> None:
        self.folder = Path(tempfile.mkdtemp())
        for name in ("x", "y"):
            (self.folder / name).mkdir()
        self.index = IndexInMemory(windows)
        # What each file has held since it was last among those given to the index.
        self.seen: dict[str, str] = {}

    def path(self, name: str) -> Path:
        return self.folder / name

    def files(self) -> dict[str, str]:
        return {str(path): path.read_text() for path in sorted(self.folder.rglob("*")) if path.is_file()}

    @rule(name=names, content=contents)
    def write(self, name: str, content: str) -> None:
        self.path(name).write_text(content)

    @rule(name=names, other=names)
    def copy(self, name: str, other: str) -> None:
        if self.path(name).exists():
            self.path(other).write_text(self.path(name).read_text())

    @rule(name=names, other=names)
    def move(self, name: str, other: str) -> None:
        if self.path(name).exists():
            self.path(name).rename(self.path(other))

    @rule(name=names, other=names)
    def swap(self, name: str, other: str) -> None:
        if self.path(name).exists() and self.path(other).exists():
            held = self.path(name).read_text(), self.path(other).read_text()
            self.path(other).write_text(held[0])
            self.path(name).write_text(held[1])

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    @rule(given=st.lists(names, min_size=1, unique=True), retry_bad=st.booleans())
    def index_some(self, given: list[str], retry_bad: bool) -> None:
        self.run_index([str(self.path(name)) for name in given], retry_bad=retry_bad)

    @rule()
    def index_what_there_is(self) -> None:
        if files := self.files():
            self.run_index(list(files))
            good = {digest_of(content) for content in files.values() if is_good(content)}
            assert good <= {video.digest for video in self.index.videos}

    @rule(folder=st.sampled_from(["x", "y"]))
    def prune(self, folder: str) -> None:
        prune_videos(self.index, [self.folder / folder], prune_all=True)
        assert all(
            Path(video.path).exists()
            for video in self.index.videos
            if Path(video.path).is_relative_to(self.folder / folder)
        )

    @rule()
    def lose_a_window(self) -> None:
        """As where a run ends before all windows of a video are encoded."""
        digests = [video.digest for video in self.index.videos]
        for video in self.index.videos:
            if digests.count(video.digest) > 1:
                del self.index.by_id[video.id]
                return

    def run_index(self, paths: list[str], *, retry_bad: bool = False) -> None:
        encoder = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(interaction="mean_max_sim")))
        remembered = {bad.digest for bad in self.index.notes.bad_files}
        with mock.patch("video_colbert.encoding.bulk_encoder.BulkEncoder", MadeEncoder):
            report = index_videos(self.index, [encoder], paths, retry_bad=retry_bad)  # type: ignore[arg-type, list-item]
        files = self.files()
        for path in paths:
            if path in files:
                self.seen[path] = files[path]
            self.check_given(path, files.get(path))
        # Each file is told of once, but one that moved may also have further windows encoded.
        bad = {video.source.split(" [")[0] for video in report.bad}
        left = {video.source for video in report.known_bad}
        told = [
            *(*report.present, *report.duplicates, *bad, *left),
            *{*report.added, *(path for path in report.moved if path in paths)},
        ]
        assert sorted(told) == sorted(paths)
        assert bad | left == {path for path in paths if path not in files or not is_good(files[path])}
        assert left == {
            path for path in paths if path in files and not retry_bad and digest_of(files[path]) in remembered
        }
        assert all(files[path] == files[original] for path, original in report.duplicates.items())
        # What a given file holds that is bad is remembered, and nothing that no file holds.
        held = {digest_of(content) for content in files.values() if not is_good(content)}
        noted = {bad.digest for bad in self.index.notes.bad_files}
        assert {digest_of(files[path]) for path in paths if path in files and not is_good(files[path])} <= noted
        assert noted <= held | remembered
        assert all(bad.path in files for bad in self.index.notes.bad_files)

    def check_given(self, path: str, content: str | None) -> None:
        """Nothing is found under a given file's path but what it holds, cut as the index says."""
        if content is None or not is_good(content):
            return
        at_path = [video for video in self.index.videos if video.path == path]
        assert {video.digest for video in at_path} <= {digest_of(content)}
        if at_path:
            state = Path(path).stat()
            facts = FileFacts(state.st_size, state.st_mtime, len(content), 9)
            assert {video.facts for video in at_path} == {facts}
            expected = video_windows(float(content[0]), self.index.windows, scene_changes_of(content))
            assert sorted((video.start, video.end) for video in at_path) == sorted(expected)

    @invariant()
    @precondition(lambda self: hasattr(self, "index"))
    def every_file_that_is_as_it_was_is_found(self) -> None:
        files, stored = self.files(), {video.digest for video in self.index.videos}
        self.seen = {path: content for path, content in self.seen.items() if files.get(path) == content}
        for content in self.seen.values():
            assert not is_good(content) or digest_of(content) in stored

    @invariant()
    @precondition(lambda self: hasattr(self, "index"))
    def a_content_is_stored_under_one_path(self) -> None:
        paths: dict[str, set[str]] = {}
        for video in self.index.videos:
            paths.setdefault(video.digest, set()).add(video.path)
            assert video.path not in video.copies
        assert all(len(of_content) == 1 for of_content in paths.values())


TestFilesAndIndex = pytest.mark.filterwarnings("ignore")(FilesAndIndex.TestCase)
TestFilesAndIndex.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
