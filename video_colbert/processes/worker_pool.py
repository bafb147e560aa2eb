"""Workers, seen from the process that has them: tasks go out, answers come back, and none of them hangs or ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from video_colbert.errors import WorkerError
from video_colbert.processes.worker_server import starting_processes, worker_context

# The next task waits at the worker, so that it need not wait for this process.
_TASKS_AT_A_WORKER = 2
# A worker may have died of something else than its task.
_ATTEMPTS = 2
# Starts in a row that may fail; with the server, workers that are about to start die too.
_STARTS = 3
_POLL_SECONDS = 1.0

TaskT = TypeVar("TaskT")
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Failure:
    """What is said of a task that its worker did not survive.

    Attributes:
        reason: how it ended, as in "did not end within 600 s".
    """

    reason: str


@dataclass(frozen=True)
class Finished(Generic[TaskT, AnswerT]):
    """A task that was dealt with.

    Attributes:
        task: what was asked.
        answer: what came of it.
        worker: number of the worker.
    """

    task: TaskT
    answer: AnswerT | Failure
    worker: int


@dataclass
class _Worker(Generic[TaskT]):
    """A worker process with the tasks that it was given, the one it works on first."""

    process: BaseProcess
    connection: Connection
    failed_starts: int
    tasks: deque[TaskT] = field(default_factory=deque)
    is_ready: bool = False
    busy_since: float = 0.0


class WorkerPool(Generic[TaskT, AnswerT]):
    """Processes that answer tasks; one that crashes or hangs is replaced, and its task gets a `Failure`.

    All but `wake` is called by one thread.

    Args:
        start: run in each process as it starts; returns what answers its tasks. Both travel by pickle, and what
            a task's answer raises ends its process.
        workers: how many processes.
        timeout: seconds that a task may take.

    Raises:
        ValueError: no worker, or a timeout that is not positive.
        WorkerError: processes cannot be started.

    """

    def __init__(self, start: Callable[[], Callable[[TaskT], AnswerT]], *, workers: int, timeout: float) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        if not timeout > 0:
            raise ValueError(f"timeout must be a positive number of seconds, got {timeout}")
        self._start = start
        self._timeout = timeout
        self._context = worker_context(_module_of(start))
        self._again: deque[TaskT] = deque()
        self._deaths: dict[TaskT, int] = {}
        self._wake_receiver, self._wake_sender = self._context.Pipe(duplex=False)
        self._wake_lock = threading.Lock()
        self._is_woken = False
        self._workers: list[_Worker[TaskT]] = []
        try:
            for _ in range(workers):
                self._workers.append(self._new_worker(0))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> WorkerPool[TaskT, AnswerT]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def is_busy(self) -> bool:
        """Whether tasks were handed out that are not finished."""
        return bool(self._again) or any(each.tasks for each in self._workers)

    @property
    def pids(self) -> list[int]:
        """The processes' numbers."""
        return [each.process.pid for each in self._workers if each.process.pid is not None]

    def results(self, tasks: Iterable[TaskT]) -> Iterator[Finished[TaskT, AnswerT]]:
        """Works through tasks; yields what became of each, in whatever order they are done.

        Raises:
            WorkerError: a process cannot be started.
        """
        waiting = deque(tasks)
        while waiting or self.is_busy:
            self.hand_out(lambda _: waiting.popleft() if waiting else None)
            yield from self.wait()

    def hand_out(self, next_task: Callable[[int], TaskT | None]) -> None:
        """Gives tasks to the workers that have room for one.

        Args:
            next_task: the next task for the worker of this number; None for none now.
        """
        # Round by round, so that the first worker does not take what two could do at once.
        for depth in range(_TASKS_AT_A_WORKER):
            for number, each in enumerate(self._workers):
                if not each.is_ready or len(each.tasks) != depth:
                    continue
                task = self._again.popleft() if self._again else next_task(number)
                if task is None:
                    continue
                if not each.tasks:
                    each.busy_since = time.monotonic()
                each.tasks.append(task)
                # One that has died meanwhile is dealt with when its connection says so.
                with contextlib.suppress(ConnectionError):
                    each.connection.send(task)

    def wait(self) -> list[Finished[TaskT, AnswerT]]:
        """Waits until a task is finished, `wake` is called or about a second has passed; returns what is finished.

        Raises:
            WorkerError: a process cannot be started.
        """
        finished = []
        connections = {each.connection: number for number, each in enumerate(self._workers)}
        for ready in wait([*connections, self._wake_receiver], self._seconds_to_wait()):
            if ready is self._wake_receiver:
                with self._wake_lock:
                    self._wake_receiver.recv_bytes()
                    self._is_woken = False
            elif isinstance(ready, Connection):
                finished += self._receive(connections[ready])
        return finished + self._give_up_hanging()

    def wake(self) -> None:
        """Makes `wait` return; from any thread."""
        with self._wake_lock:
            if not self._is_woken:
                self._is_woken = True
                self._wake_sender.send_bytes(b".")

    def close(self) -> None:
        """Ends the processes, whatever they do."""
        for each in self._workers:
            each.process.kill()
        for each in self._workers:
            each.process.join()
            each.connection.close()
        self._workers = []

    def _new_worker(self, failed_starts: int) -> _Worker[TaskT]:
        for attempt in range(1, _STARTS + 1):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(  # type: ignore[attr-defined] # BaseContext does not declare it
                target=_run_worker, args=(theirs, self._start), daemon=True
            )
            try:
                with starting_processes():
                    process.start()
            except (ConnectionError, EOFError) as error:
                ours.close()
                if attempt == _STARTS:
                    raise WorkerError(f"a worker process cannot be started: {error!r}") from error
                time.sleep(0.1 * attempt)
                continue
            finally:
                # With our copy open too, the end of the process would not close the connection.
                theirs.close()
            break
        return _Worker(process, ours, failed_starts)

    def _receive(self, number: int) -> list[Finished[TaskT, AnswerT]]:
        each = self._workers[number]
        try:
            answer = each.connection.recv()
        except (EOFError, ConnectionError):
            return self._bury(number)
        if not each.is_ready:
            each.is_ready = True
            return []
        each.busy_since = time.monotonic()
        task = each.tasks.popleft()
        self._deaths.pop(task, None)
        return [Finished(task, answer, number)]

    def _bury(self, number: int) -> list[Finished[TaskT, AnswerT]]:
        """Replaces a worker that died, and has what it had not done done again."""
        each = self._workers[number]
        each.process.join()
        each.connection.close()
        failed_starts = 0 if each.is_ready else each.failed_starts + 1
        if failed_starts == _STARTS:
            raise WorkerError(
                f"a worker process cannot be started (exit code {each.process.exitcode}; what it wrote says why)"
            )
        failed = []
        if each.tasks:
            task = each.tasks.popleft()
            self._deaths[task] = self._deaths.get(task, 0) + 1
            if self._deaths[task] < _ATTEMPTS:
                self._again.append(task)
            else:
                cause = _cause_of_death(each.process.exitcode)
                reason = f"made its process crash {_ATTEMPTS} times ({cause})"
                failed.append(Finished[TaskT, AnswerT](task, Failure(reason), number))
        self._again.extend(each.tasks)
        self._workers[number] = self._new_worker(failed_starts)
        return failed

    def _give_up_hanging(self) -> list[Finished[TaskT, AnswerT]]:
        """Replaces workers whose task takes too long."""
        now, given_up = time.monotonic(), []
        for number, each in enumerate(self._workers):
            if each.tasks and now - each.busy_since > self._timeout and not each.connection.poll():
                each.process.kill()
                each.process.join()
                each.connection.close()
                reason = f"did not end within {self._timeout:g} s"
                given_up.append(Finished[TaskT, AnswerT](each.tasks.popleft(), Failure(reason), number))
                self._again.extend(each.tasks)
                self._workers[number] = self._new_worker(0)
        return given_up

    def _seconds_to_wait(self) -> float:
        starts = [each.busy_since for each in self._workers if each.tasks]
        left = min(starts) + self._timeout - time.monotonic() if starts else _POLL_SECONDS
        return min(max(left, 0.01), _POLL_SECONDS)


def _run_worker(connection: Connection, start: Callable[[], Callable[[TaskT], AnswerT]]) -> None:
    """Answers tasks until the connection closes; says "ready" first."""
    # Ctrl-C reaches all processes of a terminal; the parent says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    answer = start()
    try:
        connection.send("ready")
        while True:
            connection.send(answer(connection.recv()))
    except (EOFError, ConnectionError):
        return


def _exit_with_parent() -> None:
    """Ends the process when its parent is gone, even in the middle of a task that hangs."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _module_of(start: Callable[[], object]) -> str:
    """The module that defines a function, or the function of a `functools.partial`."""
    return str(getattr(start, "func", start).__module__)


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
