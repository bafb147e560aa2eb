"""Every core decodes, every accelerator encodes: files in any number, results in whatever order they are ready."""

from __future__ import annotations

import functools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from video_colbert.encoding.clip_decoding import DecodedClip, clip_name
from video_colbert.encoding.decoding_process import (
    Answer,
    ClipInSlot,
    DecodeInto,
    Question,
    decoded_clip,
    start_decoding,
)
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.encoding_plan import DEFAULT_TIMEOUT_SECONDS, EncodingPlan, ReadDigest, ReadScenes, Task
from video_colbert.encoding.shared_memory import SharedSlots
from video_colbert.encoding.task_queue import TaskQueue
from video_colbert.processes.worker_pool import Failure, Finished, WorkerPool
from video_colbert.processes.worker_server import default_workers

# Beside the batch that is being encoded, three are decoded ahead, for times when decoding is slower.
_BATCHES_HELD = 4

EventT = TypeVar("EventT")


@dataclass(frozen=True)
class _HeldClip:
    """A decoded clip, and the slot that its pixels lie in."""

    clip: DecodedClip
    slot: int


@dataclass(frozen=True)
class _EncodedBatch:
    """What a model made of a batch: a result for each clip, or the error that ended its thread."""

    batch: list[_HeldClip]
    results: list[EncodedVideo | BadVideo] | BaseException


class BulkEncoder:
    """Decoding processes that feed one encoder a device, each in a thread of its own.

    The pixels of at most `clips_held` clips are in memory at once.

    Args:
        encoders: an encoder of the same model for each device.
        batch_size: clips that go through a model together, at most; a batch is what is ready.
        num_frames: frames sampled from each clip; the processor's own number by default.
        workers: decoding processes; by default one for each core.
        timeout: seconds after which a file that is read or decoded is given up.

    Raises:
        ValueError: a number that is out of range, or no encoder.
        EncodingError: more frames than the model has positions for.
        WorkerError: processes cannot be started.

    """

    def __init__(
        self,
        encoders: Sequence[VideoColBERTEncoder],
        *,
        batch_size: int = 8,
        num_frames: int | None = None,
        workers: int | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if batch_size < 1 or not encoders:
            raise ValueError(f"needs an encoder and a batch_size of at least 1, got {len(encoders)} and {batch_size}")
        workers = default_workers() if workers is None else workers
        decoder = encoders[0].clip_decoder(num_frames)
        self.clips_held = 2 * workers + _BATCHES_HELD * batch_size * len(encoders)
        self._batch_size = batch_size
        self._slots = SharedSlots(self.clips_held, decoder.clip_bytes)
        self._free = deque(range(self.clips_held))
        self._pool: WorkerPool[Question, Answer] = WorkerPool(
            functools.partial(start_decoding, decoder, self._slots), workers=workers, timeout=timeout
        )
        self._decoded: queue.SimpleQueue[_HeldClip | None] = queue.SimpleQueue()
        self._encoded: queue.SimpleQueue[_EncodedBatch] = queue.SimpleQueue()
        self._is_stopping = False
        self._threads = [threading.Thread(target=self._encode, args=(encoder,), daemon=True) for encoder in encoders]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> BulkEncoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()
        self._slots.close()

    def run(self, plan: EncodingPlan[EventT]) -> Iterator[EventT]:
        """Works through a plan and yields its events; all of the plan is called from here.

        Raises:
            WorkerError: processes cannot be started.
            Exception: whatever a model raises.
        """
        tasks = TaskQueue(plan.next_task, self.clips_held)
        while not self._is_done(tasks):
            self._pool.hand_out(lambda process: self._next_question(tasks, process))
            for finished in self._pool.wait():
                yield from self._after_reading(plan, tasks, finished)
            yield from self._after_encoding(plan, tasks)

    def stop(self, plan: EncodingPlan[EventT]) -> Iterator[EventT]:
        """Ends a run early; yields the events of what was encoded by then, the batches in a model among it."""
        self._stop()
        while not self._encoded.empty():
            done = self._encoded.get()
            if not isinstance(done.results, BaseException):
                for held, result in zip(done.batch, done.results, strict=True):
                    yield from _events_of(plan.take(held.clip.clip, result), None)

    def _is_done(self, tasks: TaskQueue) -> bool:
        is_idle = not self._pool.is_busy and len(self._free) == self.clips_held
        return is_idle and tasks.is_empty

    def _next_question(self, tasks: TaskQueue, process: int) -> Question | None:
        task = tasks.next(process, slot_is_free=bool(self._free))
        return DecodeInto(task, self._free.popleft()) if isinstance(task, VideoClip) else task

    def _after_reading(
        self, plan: EncodingPlan[EventT], tasks: TaskQueue, finished: Finished[Question, Answer]
    ) -> Iterator[EventT]:
        """Passes a decoded clip on to the encoders, and everything else to the plan."""
        question, answer = finished.task, finished.answer
        if isinstance(question, DecodeInto):
            task: Task = question.clip
            if isinstance(answer, ClipInSlot):
                self._decoded.put(_HeldClip(decoded_clip(question, answer, self._slots), question.slot))
                return
            self._free.append(question.slot)
        else:
            task = question
        if isinstance(answer, Failure):
            name = clip_name(task) if isinstance(task, VideoClip) else task.source
            answer = BadVideo(name, f"reading and decoding it {answer.reason}")
        if isinstance(answer, ClipInSlot):
            raise TypeError(f"{task} was answered with a clip")
        yield from _events_of(plan.take(task, answer), functools.partial(tasks.add, process=finished.worker))

    def _after_encoding(self, plan: EncodingPlan[EventT], tasks: TaskQueue) -> Iterator[EventT]:
        """Frees the slots of clips that are encoded and passes the vectors to the plan."""
        while not self._encoded.empty():
            done = self._encoded.get()
            if isinstance(done.results, BaseException):
                raise done.results
            self._free.extend(held.slot for held in done.batch)
            for held, result in zip(done.batch, done.results, strict=True):
                yield from _events_of(plan.take(held.clip.clip, result), functools.partial(tasks.add, process=0))

    def _encode(self, encoder: VideoColBERTEncoder) -> None:
        while batch := self._next_batch():
            results: list[EncodedVideo | BadVideo] | BaseException
            try:
                results = encoder.encode_decoded([held.clip for held in batch])
            # Whatever it is, it is for whoever runs the plan to handle.
            except BaseException as error:
                results = error
            self._encoded.put(_EncodedBatch(batch, results))
            self._pool.wake()
            if isinstance(results, BaseException):
                return

    def _next_batch(self) -> list[_HeldClip]:
        """What is decoded, a full batch at most; waits for the first clip, and is empty at the end."""
        batch: list[_HeldClip] = []
        while len(batch) < self._batch_size and not self._is_stopping:
            try:
                held = self._decoded.get(block=not batch)
            except queue.Empty:
                break
            if held is None:
                self._decoded.put(None)  # for the other encoders too
                break
            batch.append(held)
        return batch

    def _stop(self) -> None:
        self._is_stopping = True
        self._decoded.put(None)
        self._pool.close()
        for thread in self._threads:
            thread.join()


def _events_of(steps: Iterable[Task | EventT], add_task: Callable[[Task], None] | None) -> Iterator[EventT]:
    """Yields the events among a plan's steps and adds the tasks, which are dropped where a run ends early."""
    for step in steps:
        if not isinstance(step, ReadDigest | ReadScenes | VideoClip):
            yield step
        elif add_task is not None:
            add_task(step)
