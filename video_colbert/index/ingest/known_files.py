"""Files that an index knows, read by threads of this process: where nothing is new, no other process is started."""

from __future__ import annotations

import queue
import stat
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path

from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.encoding_plan import ReadDigest, ReadScenes, Task
from video_colbert.encoding.media_files import FileState, is_remote, read_state
from video_colbert.index.ingest.events import IngestEvent
from video_colbert.index.ingest.plan import IngestPlan
from video_colbert.processes.worker_server import default_workers


def read_known_files(plan: IngestPlan, paths: Collection[str], timeout: float) -> Iterator[IngestEvent]:
    """Works through the beginning of a plan: the files that an index knows, as far as their digests say enough.

    What has to be decoded, what cannot be read and what takes too long is given back to the plan, for processes that
    survive whatever a file does to them and say what is wrong with it.

    Args:
        plan: what is to be read; called from here.
        paths: the files that the index knows.
        timeout: seconds after which a file is left.

    Yields:
        What follows from the digests.
    """
    most = default_workers()
    waiting: deque[ReadDigest] = deque()
    # When each file that is being read has to be done.
    deadlines: dict[ReadDigest, float] = {}
    answers: queue.SimpleQueue[tuple[ReadDigest, FileState | None]] = queue.SimpleQueue()
    while True:
        # What was given back is what would come next.
        while not plan.has_given_back and len(waiting) + len(deadlines) < most:
            if (task := plan.next_task()) is None:
                break
            _sort(plan, task, paths, waiting)
        while waiting and len(deadlines) < most:
            asked = waiting.popleft()
            deadlines[asked] = time.monotonic() + timeout
            # One that hangs holds up nothing, not even the end of this process.
            threading.Thread(target=_answer, args=(asked, answers), name="known files", daemon=True).start()
        if not deadlines:
            return
        try:
            answered, state = answers.get(timeout=max(min(deadlines.values()) - time.monotonic(), 0.0))
        except queue.Empty:
            for late in [asked for asked, deadline in deadlines.items() if deadline <= time.monotonic()]:
                del deadlines[late]
                plan.give_back(late)
            continue
        if deadlines.pop(answered, None) is None:
            continue
        if state is None:
            plan.give_back(answered)
            continue
        for step in plan.take(answered, state):
            if isinstance(step, ReadDigest | ReadScenes | VideoClip):
                _sort(plan, step, paths, waiting)
            else:
                yield step


def _sort(plan: IngestPlan, task: Task, paths: Collection[str], waiting: deque[ReadDigest]) -> None:
    """Has a task done here, or gives it back to the plan."""
    if isinstance(task, ReadDigest) and not (task.with_frame_size or is_remote(task.source)) and task.source in paths:
        waiting.append(task)
    else:
        plan.give_back(task)


def _answer(task: ReadDigest, answers: queue.SimpleQueue[tuple[ReadDigest, FileState | None]]) -> None:
    answers.put((task, _state(task.source)))


def _state(path: str) -> FileState | None:
    """What a file is; None for one that is no regular file or cannot be read."""
    try:
        return read_state(path, path) if stat.S_ISREG(Path(path).stat().st_mode) else None
    # Such as a ValueError for a name with a null character; a process that reads it says what it is.
    except Exception:
        return None
