"""Reading by processes of this machine."""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import replace

from video_colbert.index.ingest.reading_tasks.reading_job import ReadAnswers, ReadingJob
from video_colbert.index.ingest.reading_tasks.reading_process import ReadingAnswer, ReadingTask, start_reading
from video_colbert.processes.worker_pool import WorkerPool
from video_colbert.processes.worker_server import default_workers, worker_context
from video_colbert.progress import RunProgress

# Tasks that a worker holds: the one that it reads and the next.
_TASKS_AT_A_WORKER = 2


def read_here(job: ReadingJob, *, workers: int | None = None) -> ReadAnswers:
    """Works through a job, as `ReadTasks` says.

    Args:
        job: what is to be read.
        workers: processes; by default one for each core, which they share with each other.

    Raises:
        WorkerError: processes cannot be started.
    """
    processes = min(default_workers() if workers is None else workers, len(job.tasks))
    clocks = worker_context(start_reading.__module__).RawArray("d", _TASKS_AT_A_WORKER * processes)
    start = functools.partial(start_reading, job.readers, max(default_workers() // processes, 1), clocks)
    pool: WorkerPool[ReadingTask, ReadingAnswer] = WorkerPool(start, workers=processes, timeout=job.timeout)
    waiting, free = deque(job.tasks), deque(range(len(clocks)))
    seconds = {(task.digest, task.source): length for task, length in zip(job.tasks, job.seconds, strict=True)}
    done = 0.0

    def next_task(_: int) -> ReadingTask | None:
        if not waiting or not free:
            return None
        task = replace(waiting.popleft(), clock=free.popleft())
        clocks[task.clock] = 0.0
        return task

    with pool, RunProgress(job.name, round(job.total)) as progress:
        while waiting or pool.is_busy:
            pool.hand_out(next_task)
            for finished in pool.wait():
                free.append(finished.task.clock)
                clocks[finished.task.clock] = 0.0
                done += seconds[finished.task.digest, finished.task.source]
                yield finished.task, finished.answer
            so_far = min(done + sum(clocks), job.total)
            progress.update(so_far, job.how_far(so_far))
