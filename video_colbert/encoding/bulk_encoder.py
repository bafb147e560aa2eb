"""Every core decodes, every accelerator encodes: files in any number, results in whatever order they are ready."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from video_colbert.encoding.decoding_pool import DecodingPool, HeldClip, Outcome, TaskSource
from video_colbert.encoding.decoding_process import Task
from video_colbert.encoding.decoding_server import default_processes
from video_colbert.encoding.encoder import VideoColBERTEncoder

DEFAULT_TIMEOUT_SECONDS = 600.0
# Beside the batch that is being encoded, three are decoded ahead, for times when decoding is slower.
_BATCHES_HELD = 4
# Results that may wait for the consumer, which stops now and then to write.
_RESULTS_HELD = 1024
_POLL_SECONDS = 0.1


class _Ended:
    """Says that a thread has nothing more to give."""


class BulkEncoder:
    """Decoding processes that feed one encoder a device, each in a thread of its own.

    Args:
        encoders: an encoder of the same model for each device.
        batch_size: clips that go through a model together, at most; a batch is what is ready.
        num_frames: frames sampled from each clip; the processor's own number by default.
        processes: decoding processes; by default one for each core.
        timeout: seconds after which a file that is read or decoded is given up.

    Raises:
        ValueError: a number that is out of range, or no encoder.
        EncodingError: more frames than the model has positions for.

    Example:
        with BulkEncoder([encoder]) as bulk:
            bulk.start(tasks)
            for result in bulk.results():
                ...
    """

    def __init__(
        self,
        encoders: Sequence[VideoColBERTEncoder],
        *,
        batch_size: int = 8,
        num_frames: int | None = None,
        processes: int | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if batch_size < 1 or not encoders:
            raise ValueError(f"needs an encoder and a batch_size of at least 1, got {len(encoders)} and {batch_size}")
        processes = default_processes() if processes is None else processes
        self._encoders = list(encoders)
        self._batch_size = batch_size
        self._pool = DecodingPool(
            encoders[0].clip_decoder(num_frames),
            processes=processes,
            slots=2 * processes + _BATCHES_HELD * batch_size * len(encoders),
            timeout=timeout,
        )
        self._decoded: queue.SimpleQueue[HeldClip | _Ended] = queue.SimpleQueue()
        self._results: queue.Queue[Any] = queue.Queue(_RESULTS_HELD)
        self._threads: list[threading.Thread] = []
        self._is_stopping = False

    def __enter__(self) -> BulkEncoder:
        return self

    def __exit__(self, *exception: object) -> None:
        for _ in self.stop():
            pass
        self._pool.close()

    @property
    def clips_held(self) -> int:
        """How many decoded clips are held at once, at most."""
        return self._pool.slots

    def start(self, source: TaskSource) -> None:
        """Starts on a source's tasks; the one before must be finished.

        Args:
            source: gives tasks, and is told what became of all but the clips that were decoded.
        """
        self._decoded = queue.SimpleQueue()
        feed = _Feed(source, self._decoded)
        self._threads = [
            threading.Thread(target=self._decode, args=(feed,), daemon=True),
            *(threading.Thread(target=self._encode, args=(encoder,), daemon=True) for encoder in self._encoders),
        ]
        for thread in self._threads:
            thread.start()

    def emit(self, result: object) -> None:
        """Puts something among the results, from a task source; waits while too many wait for the consumer."""
        self._results.put(result)

    def results(self) -> Iterator[Any]:
        """Yields an `EncodedVideo` for each clip that was encoded, and what was emitted, until all is done.

        Raises:
            EncodingError: a model gave vectors that are not finite, or no decoding process can be started.
        """
        running = len(self._encoders)
        while running:
            result = self._results.get()
            if isinstance(result, _Ended):
                running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result
        for thread in self._threads:
            thread.join()
        self._threads = []

    def stop(self) -> Iterator[Any]:
        """Stops early; yields the results that are ready by then, those of the batches being encoded among them."""
        self._is_stopping = True
        self._pool.stop()
        while any(thread.is_alive() for thread in self._threads) or not self._results.empty():
            try:
                result = self._results.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if not isinstance(result, _Ended | BaseException):
                yield result

    def _decode(self, feed: TaskSource) -> None:
        try:
            self._pool.run(feed)
        except BaseException as error:
            self._results.put(error)
        self._decoded.put(_Ended())

    def _encode(self, encoder: VideoColBERTEncoder) -> None:
        try:
            while batch := self._next_batch():
                encoded = encoder.encode_decoded(batch)
                for clip in batch:
                    self._pool.release(clip.slot)
                for video in encoded:
                    self._results.put(video)
        # Whatever it is, an interrupt among it, it is the consumer's to handle.
        except BaseException as error:
            self._results.put(error)
        self._results.put(_Ended())

    def _next_batch(self) -> list[HeldClip]:
        """What is decoded, a full batch at most; waits for the first clip, and is empty at the end."""
        batch: list[HeldClip] = []
        while len(batch) < self._batch_size and not self._is_stopping:
            try:
                clip = self._decoded.get(block=not batch)
            except queue.Empty:
                break
            if isinstance(clip, _Ended):
                self._decoded.put(clip)  # for the other encoders too
                break
            batch.append(clip)
        return batch


class _Feed:
    """A task source whose decoded clips go to the encoders."""

    def __init__(self, source: TaskSource, decoded: queue.SimpleQueue[HeldClip | _Ended]) -> None:
        self._source = source
        self._decoded = decoded

    def next_task(self, process: int, *, slot_is_free: bool) -> Task | None:
        return self._source.next_task(process, slot_is_free=slot_is_free)

    def finish(self, task: Task, outcome: Outcome, process: int) -> None:
        if isinstance(outcome, HeldClip):
            self._decoded.put(outcome)
        else:
            self._source.finish(task, outcome, process)

    @property
    def is_finished(self) -> bool:
        return self._source.is_finished
