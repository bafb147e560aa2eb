"""Tasks that wait for a decoding process: a file's go to the process that has it open, others where there is room."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.encoding_plan import Task


class TaskQueue:
    """What is to be read and decoded, in the order that keeps files open for the shortest time.

    Args:
        next_task: gives further files' first tasks; None for none now.
        tasks_ahead: tasks that may wait here before further files are begun.
    """

    def __init__(self, next_task: Callable[[], Task | None], tasks_ahead: int) -> None:
        self._next_task = next_task
        self._tasks_ahead = tasks_ahead
        # By the process that read the file, where it may still be open.
        self._waiting: dict[int, deque[Task]] = defaultdict(deque)
        self._num_waiting = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do now."""
        if not self._num_waiting:
            task = self._next_task()
            if task is not None:
                self.add(task, 0)
        return not self._num_waiting

    def add(self, task: Task, process: int) -> None:
        """Adds a task of a file that this process has open."""
        self._waiting[process].append(task)
        self._num_waiting += 1

    def next(self, process: int, *, slot_is_free: bool) -> Task | None:
        """The next task for a process; None for none now.

        Args:
            process: its number.
            slot_is_free: whether a clip can be decoded.
        """
        task = self._take(process, slot_is_free)
        if task is None and self._num_waiting < self._tasks_ahead and (further := self._next_task()) is not None:
            self.add(further, process)
            task = self._take(process, slot_is_free)
        if task is None and self._num_waiting:
            busiest = max(self._waiting, key=lambda reader: len(self._waiting[reader]))
            task = self._take(busiest, slot_is_free)
        return task

    def _take(self, reader: int, slot_is_free: bool) -> Task | None:
        waiting = self._waiting[reader]
        if not waiting or (isinstance(waiting[0], VideoClip) and not slot_is_free):
            return None
        self._num_waiting -= 1
        return waiting.popleft()
