"""Decoding processes, seen from the process that has them: work goes out, answers come back, none of them hangs it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol, TypeAlias

import torch

from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.decoding_process import (
    Answer,
    ClipInSlot,
    DecodeClip,
    SharedSlots,
    Task,
    run_decoding_process,
)
from video_colbert.encoding.decoding_server import decoding_context, without_main_module
from video_colbert.encoding.encoded import BadVideo, VideoClip
from video_colbert.errors import EncodingError

# The next task waits at the process, so that it need not wait for this one.
_TASKS_AT_A_PROCESS = 2
# A process may have died of something else than its file.
_ATTEMPTS = 2
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class HeldClip(DecodedClip):
    """A decoded clip whose pixels lie in shared memory until its slot is released.

    Attributes:
        slot: number of the slot.
    """

    slot: int


Outcome: TypeAlias = str | float | HeldClip | BadVideo


class TaskSource(Protocol):
    """Where a pool gets its tasks from; called by the pool's thread alone."""

    def next_task(self, process: int, *, slot_is_free: bool) -> Task | None:
        """The next task for a process; None for none now. A clip only when there is a free slot for it."""

    def finish(self, task: Task, outcome: Outcome, process: int) -> None:
        """Takes what became of a task."""

    @property
    def is_finished(self) -> bool:
        """Whether there will be no further task once those given out are finished."""


@dataclass
class _Process:
    """A decoding process with the tasks that it was given, the one it works on first."""

    process: BaseProcess
    connection: Connection
    tasks: deque[tuple[Task, int]] = field(default_factory=deque)
    is_ready: bool = False
    busy_since: float = 0.0


class DecodingPool:
    """Processes that read and decode files; one that crashes or hangs is replaced and its file reported.

    The pixels of at most `slots` clips are held, from the start of decoding until `release`.

    Args:
        decoder: what decodes.
        processes: how many processes.
        slots: clips that are held at most.
        timeout: seconds that a process may take for a task.

    Raises:
        ValueError: a number below 1, or a timeout that is not positive.
    """

    def __init__(self, decoder: ClipDecoder, *, processes: int, slots: int, timeout: float) -> None:
        for name, value in (("processes", processes), ("slots", slots)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not timeout > 0:
            raise ValueError(f"timeout must be a positive number of seconds, got {timeout}")
        self.slots = slots
        self._decoder = decoder
        self._timeout = timeout
        self._context = decoding_context()
        self._memory = SharedSlots(self._context.RawArray("B", max(slots * decoder.clip_bytes, 1)), decoder.clip_bytes)
        self._free = deque(range(slots))
        self._again: deque[Task] = deque()
        self._deaths: dict[Task, int] = {}
        self._wake_receiver, self._wake_sender = self._context.Pipe(duplex=False)
        self._wake_lock = threading.Lock()
        self._is_stopping = False
        self._processes = [self._start() for _ in range(processes)]

    def __enter__(self) -> DecodingPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, source: TaskSource) -> None:
        """Works through a source's tasks until it is finished or `stop` is called.

        Raises:
            EncodingError: a process cannot be started.
        """
        while not self._is_stopping:
            self._hand_out(source)
            if source.is_finished and not self._again and not any(each.tasks for each in self._processes):
                return
            connections = {each.connection: number for number, each in enumerate(self._processes)}
            for ready in wait([*connections, self._wake_receiver], self._seconds_to_wait()):
                if ready is self._wake_receiver:
                    self._wake_receiver.recv_bytes()
                elif isinstance(ready, Connection):
                    self._receive(connections[ready], source)
            self._replace_hanging(source)

    def release(self, slot: int) -> None:
        """Gives back the slot of a clip whose pixels are not needed any more; from any thread."""
        self._free.append(slot)
        self._wake()

    def stop(self) -> None:
        """Makes `run` return soon; from any thread."""
        self._is_stopping = True
        self._wake()

    def close(self) -> None:
        """Ends the processes, whatever they do."""
        self._is_stopping = True
        for each in self._processes:
            each.process.kill()
        for each in self._processes:
            each.process.join()
            each.connection.close()
        self._processes = []

    def _wake(self) -> None:
        with self._wake_lock:
            self._wake_sender.send_bytes(b".")

    def _start(self) -> _Process:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(  # type: ignore[attr-defined] # BaseContext does not declare it
            target=run_decoding_process, args=(theirs, self._decoder, self._memory), daemon=True
        )
        with without_main_module():
            process.start()
        # With our copy open too, the end of the process would not close the connection.
        theirs.close()
        return _Process(process, ours)

    def _hand_out(self, source: TaskSource) -> None:
        # Round by round, so that the first process does not take what two could do at once.
        for depth in range(_TASKS_AT_A_PROCESS):
            for number, each in enumerate(self._processes):
                if not each.is_ready or len(each.tasks) != depth:
                    continue
                task = self._next_task(source, number)
                if task is None:
                    continue
                slot = self._free.popleft() if isinstance(task, DecodeClip) else -1
                if not each.tasks:
                    each.busy_since = time.monotonic()
                each.tasks.append((task, slot))
                # One that has died meanwhile is dealt with when its connection says so.
                with contextlib.suppress(ConnectionError):
                    each.connection.send((task, slot))

    def _next_task(self, source: TaskSource, number: int) -> Task | None:
        if self._again:
            return self._again.popleft() if self._free or not isinstance(self._again[0], DecodeClip) else None
        return source.next_task(number, slot_is_free=bool(self._free))

    def _receive(self, number: int, source: TaskSource) -> None:
        each = self._processes[number]
        try:
            answer = each.connection.recv()
        except (EOFError, ConnectionError):
            self._bury(number, source)
            return
        if not each.is_ready:
            each.is_ready = True
            return
        each.busy_since = time.monotonic()
        task, slot = each.tasks.popleft()
        self._deaths.pop(task, None)
        source.finish(task, self._outcome(task, slot, answer), number)

    def _outcome(self, task: Task, slot: int, answer: Answer) -> Outcome:
        if isinstance(answer, ClipInSlot) and isinstance(task, DecodeClip):
            pixels = self._memory.pixels(slot, answer.shape) if answer.pixels is None else answer.pixels
            clip = VideoClip(task.source, task.start, task.end)
            return HeldClip(clip, torch.as_tensor(pixels), answer.timestamps, answer.duration, slot)
        if slot >= 0:
            self._free.append(slot)
        return answer  # type: ignore[return-value] # only a clip is answered by a ClipInSlot

    def _bury(self, number: int, source: TaskSource) -> None:
        """Replaces a process that died, and does again what it had not done."""
        each = self._processes[number]
        each.process.join()
        each.connection.close()
        if not each.is_ready:
            raise EncodingError(
                f"a decoding process cannot be started (exit code {each.process.exitcode}; what it wrote says why)"
            )
        self._take_back(each)
        if each.tasks:
            task, _ = each.tasks.popleft()
            self._deaths[task] = self._deaths.get(task, 0) + 1
            if self._deaths[task] < _ATTEMPTS:
                self._again.append(task)
            else:
                reason = f"it made the decoder crash {_ATTEMPTS} times ({_cause_of_death(each.process.exitcode)})"
                source.finish(task, BadVideo(task.source, reason), number)
        self._again.extend(task for task, _ in each.tasks)
        self._processes[number] = self._start()

    def _replace_hanging(self, source: TaskSource) -> None:
        now = time.monotonic()
        for number, each in enumerate(self._processes):
            if each.tasks and now - each.busy_since > self._timeout and not each.connection.poll():
                each.process.kill()
                each.process.join()
                each.connection.close()
                self._take_back(each)
                task, _ = each.tasks.popleft()
                reason = f"reading and decoding it did not end within {self._timeout:g} s"
                source.finish(task, BadVideo(task.source, reason), number)
                self._again.extend(task for task, _ in each.tasks)
                self._processes[number] = self._start()

    def _take_back(self, each: _Process) -> None:
        """Frees the slots of a process that is no more."""
        self._free.extend(slot for _, slot in each.tasks if slot >= 0)

    def _seconds_to_wait(self) -> float:
        starts = [each.busy_since for each in self._processes if each.tasks]
        left = min(starts) + self._timeout - time.monotonic() if starts else _POLL_SECONDS
        return min(max(left, 0.01), _POLL_SECONDS)


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
