"""What the plan asks of files that are cut at their scenes, without any process or model."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping

import pytest

from tests.index.made_videos import make_video
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.encoding.encoding_plan import Outcome, ReadDigest, ReadScenes, Task
from video_colbert.encoding.media_files import FileState
from video_colbert.encoding.scene_changes import VideoScenes
from video_colbert.index import IndexedVideo, WindowSettings
from video_colbert.index.index_notes import BadFile
from video_colbert.index.indexed_video import FileFacts
from video_colbert.index.ingest.events import Bad, Encoded, IngestEvent, KnownBad, Moved, Present
from video_colbert.index.ingest.plan import IngestPlan
from video_colbert.index.ingest.stored_content import stored_contents

AUTO = WindowSettings(kind="auto")
FILM = VideoScenes(100.0, (24.0, 30.5, 47.0, 82.0))
WINDOWS = [(0.0, 24.0), (24.0, 47.0), (47.0, 67.0), (67.0, 82.0), (82.0, 100.0)]


def stored(windows: list[tuple[float | None, float | None]], path: str = "/film.mp4") -> list[IndexedVideo]:
    video = IndexedVideo(path, "film", FILM.duration, (0.0,), facts=FileFacts(1, 0.0, 64, 48))
    return [dataclasses.replace(video, start=start, end=end) for start, end in windows]


def run(
    files: Mapping[str, str],
    held: list[IndexedVideo],
    *,
    scenes: VideoScenes | BadVideo = FILM,
    bad: tuple[BadFile, ...] = (),
) -> tuple[list[Task], list[IngestEvent]]:
    """What is asked of files, whose contents are given, and what happens."""
    plan = IngestPlan(list(files), stored_contents(held), AUTO, {file.digest: file for file in bad})
    tasks, events, waiting = list[Task](), list[IngestEvent](), deque[Task]()
    while True:
        if not waiting:
            task = plan.next_task()
            if task is None:
                break
            waiting.append(task)
        task = waiting.popleft()
        tasks.append(task)
        for step in plan.take(task, outcome(task, files, scenes)):
            if isinstance(step, ReadDigest | ReadScenes | VideoClip):
                waiting.append(step)
            else:
                events.append(step)
    assert plan.files_done == plan.work_done == len(files)
    assert plan.windows_done == plan.windows_begun
    return tasks, events


def outcome(task: Task, files: Mapping[str, str], scenes: VideoScenes | BadVideo) -> Outcome:
    source = str(task.source)
    if isinstance(task, ReadDigest):
        return FileState(files[source], 1) if source in files else BadVideo(source, "there is no such file")
    if isinstance(task, ReadScenes):
        return scenes
    return dataclasses.replace(make_video("any.mp4")[1], clip=task, duration=FILM.duration)


def clips(tasks: list[Task]) -> list[tuple[float | None, float | None]]:
    return [(task.start, task.end) for task in tasks if isinstance(task, VideoClip)]


def test_new_long_video_is_cut_at_its_scenes() -> None:
    tasks, events = run({"/film.mp4": "film"}, [])
    assert tasks[:2] == [ReadDigest("/film.mp4"), ReadScenes("/film.mp4", 60.0)]
    assert clips(tasks) == WINDOWS
    assert all(isinstance(event, Encoded) and event.file.windows == tuple(WINDOWS) for event in events)


def test_video_of_which_all_windows_are_stored_is_only_told_by_its_digest() -> None:
    # Other constants or another finder cut it otherwise; it stays as it is.
    for windows in (WINDOWS, [(0.0, 50.0), (50.0, None)]):
        tasks, events = run({"/film.mp4": "film"}, stored(windows))
        assert tasks == [ReadDigest("/film.mp4")]
        [event] = events
        assert isinstance(event, Present)
        assert event.file.windows == tuple(windows)


@pytest.mark.parametrize("kept", [[0], [1, 3], [0, 1, 2, 3], [1, 2, 3, 4]])
def test_of_an_interrupted_run_the_missing_windows_are_encoded_and_no_other(kept: list[int]) -> None:
    tasks, events = run({"/film.mp4": "film"}, stored([WINDOWS[row] for row in kept]))
    assert tasks[:2] == [ReadDigest("/film.mp4"), ReadScenes("/film.mp4", 60.0)]
    assert clips(tasks) == [window for row, window in enumerate(WINDOWS) if row not in kept]
    assert all(isinstance(event, Encoded) and event.file.windows == tuple(WINDOWS) for event in events)


def test_window_that_is_known_bad_is_not_missing() -> None:
    bad = BadFile("film", "/film.mp4", "does not decode", (WINDOWS[1],))
    held = stored([window for window in WINDOWS if window != WINDOWS[1]])
    tasks, events = run({"/film.mp4": "film"}, held, bad=(bad,))
    assert tasks == [ReadDigest("/film.mp4")]
    assert [type(event) for event in events] == [Present, KnownBad]
    tasks, _ = run({"/film.mp4": "film"}, held)
    assert clips(tasks) == [WINDOWS[1]]


def test_windows_that_overlap_are_told_apart_from_those_that_the_scenes_give() -> None:
    tasks, events = run({"/film.mp4": "film"}, stored([*WINDOWS, (10.0, 24.0)]))
    assert clips(tasks) == []
    [event] = events
    assert isinstance(event, Present)
    # What is not among them is removed by the writer.
    assert event.file.windows == tuple(WINDOWS)


def test_what_takes_the_name_of_a_moved_video_waits_until_it_is_known_what_the_moved_one_lacks() -> None:
    tasks, events = run({"/film.mp4": "other", "/moved.mp4": "film"}, stored(WINDOWS[:2]))
    kinds = [(type(event), event.file.path) for event in events if not isinstance(event, Bad)]
    assert kinds[0] == (Moved, "/moved.mp4")
    assert kinds.index((Encoded, "/film.mp4")) > 0
    of_moved = [task for task in tasks if isinstance(task, VideoClip) and task.source == "/moved.mp4"]
    assert clips([*of_moved]) == WINDOWS[2:]
    of_other = [task for task in tasks if isinstance(task, VideoClip) and task.source == "/film.mp4"]
    assert clips([*of_other]) == WINDOWS


def test_video_whose_scenes_cannot_be_read_is_bad_once_and_what_is_stored_of_it_stays() -> None:
    bad = BadVideo("/film.mp4", "is truncated")
    for held in ([], stored(WINDOWS[:2])):
        tasks, events = run({"/film.mp4": "film"}, held, scenes=bad)
        assert clips(tasks) == []
        assert events == [Bad("/film.mp4", bad)]
