"""Reading on the machines of a Ray cluster: tasks go out, what was found comes back and is kept by one process.

Ray may have a task done twice, when a machine or a process is lost; what is kept of it is the same.
"""

from __future__ import annotations

import functools
import pickle
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from video_colbert.errors import WorkerError
from video_colbert.index.ingest.ray_cluster import connect, share_cluster
from video_colbert.index.ingest.reading_tasks.reading_job import ReadAnswers, ReadingJob
from video_colbert.index.ingest.reading_tasks.reading_process import ReadingAnswer, ReadingTask, start_reading
from video_colbert.processes.worker_pool import WorkerPool
from video_colbert.progress import RunProgress
from video_colbert.text.passages import PassageReader

# Tasks that a process gets at once where there are very many: what is done again when its machine is lost.
_MOST_TASKS_AT_A_TIME = 8
# So many times does each process get some, at least, so that none waits long for the last one.
_TURNS = 8
# Tasks on their way to a process, the one that it reads among them.
_TASKS_IN_FLIGHT = 2


@dataclass(frozen=True)
class RayReaders:
    """The processes of a cluster that read.

    Attributes:
        address: of the cluster, such as "auto"; None to use the connection there is, or to start Ray here.
        groups: groups of processes, each on one machine; by default one for each GPU, or for each machine of a
            cluster without any.
        workers: processes of each group, for which it reserves as many cores; by default what each group of a
            machine can have.
    """

    address: str | None = None
    groups: int | None = None
    workers: int | None = None

    def read(self, job: ReadingJob) -> ReadAnswers:
        """Works through a job, as `ReadTasks` says; paths must mean the same files on every machine.

        Raises:
            MissingExtraError: Ray is not installed.
            ConnectionError: there is no cluster at this address.
        """
        connect(self.address)
        import ray
        from ray.data import ActorPoolStrategy

        share = share_cluster(self.groups, self.workers)
        groups = min(share.parts, len(job.tasks))
        at_a_time = _tasks_at_a_time(len(job.tasks), groups * share.cores)
        answers = ray.data.from_items(
            [{"task": pickle.dumps(task)} for task in job.tasks],
            override_num_blocks=-(-len(job.tasks) // at_a_time),
        ).map_batches(
            ReadingGroup,
            fn_constructor_args=(ray.put(tuple(job.readers)), share.cores, job.timeout),
            batch_size=at_a_time,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(
                size=groups,
                max_tasks_in_flight_per_actor=_TASKS_IN_FLIGHT * share.cores,
                max_concurrent_calls_per_actor=share.cores,
                enable_true_multi_threading=True,
            ),
            num_cpus=share.cores,
            num_gpus=share.gpus,
        )
        seconds = {(task.digest, task.source): length for task, length in zip(job.tasks, job.seconds, strict=True)}
        done = 0.0
        with RunProgress(job.name, round(job.total)) as progress:
            for row in answers.iter_rows():
                # Made by our own code in a process of this cluster.
                for task, answer in pickle.loads(row["answers"]):  # noqa: S301
                    done += seconds[task.digest, task.source]
                    yield task, answer
                progress.update(done, job.how_far(done))


class ReadingGroup:
    """Processes that read, seen from the process of the cluster that has them; each is used by one thread at a time.

    Args:
        readers: a reference to the readers, one a source.
        workers: how many processes.
        timeout: seconds after which a task is given up.
    """

    def __init__(self, readers: Any, workers: int, timeout: float) -> None:
        import ray

        self._readers: Sequence[PassageReader] = ray.get(readers)
        self._timeout = timeout
        self._idle: queue.Queue[WorkerPool[ReadingTask, ReadingAnswer] | None] = queue.Queue()
        # A process is started by the first task that finds none, so that its error is that task's answer.
        for _ in range(workers):
            self._idle.put(None)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Reads the tasks of column `task` one by one, in a process that is idle."""
        pool = self._idle.get()
        try:
            answers = []
            for text in batch["task"].to_pylist():
                # Made by our own code in the process that the cluster works for.
                task: ReadingTask = pickle.loads(text)  # noqa: S301
                try:
                    pool = pool or self._start()
                    answers += [(finished.task, finished.answer) for finished in pool.results([task])]
                except WorkerError as error:
                    answers.append((task, error))
            return pa.table({"answers": pa.array([pickle.dumps(answers)], pa.large_binary())})
        finally:
            self._idle.put(pool)

    def _start(self) -> WorkerPool[ReadingTask, ReadingAnswer]:
        start = functools.partial(start_reading, self._readers, 1, [0.0])
        return WorkerPool(start, workers=1, timeout=self._timeout)


def _tasks_at_a_time(tasks: int, processes: int) -> int:
    return max(1, min(_MOST_TASKS_AT_A_TIME, tasks // (processes * _TURNS)))
