"""What is to be read in a run, whatever processes do it: on this machine, or on those of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from video_colbert.encoding.display import format_seconds
from video_colbert.index.ingest.reading_tasks.reading_process import ReadingAnswer, ReadingTask
from video_colbert.processes.worker_pool import Failure
from video_colbert.text.passages import PassageReader


@dataclass(frozen=True)
class ReadingJob:
    """The tasks of a run.

    Attributes:
        readers: one a source, not loaded.
        tasks: at least one, each of one of the readers.
        seconds: for each task, how long its video lasts.
        timeout: seconds after which a task is given up.
    """

    readers: Sequence[PassageReader]
    tasks: Sequence[ReadingTask]
    seconds: Sequence[float]
    timeout: float

    @property
    def name(self) -> str:
        """What is done, in words."""
        return "reading " + ", ".join(dict.fromkeys(task.source.replace("_", " ") for task in self.tasks))

    @property
    def total(self) -> float:
        """Seconds of all tasks together."""
        return sum(self.seconds)

    def how_far(self, seconds: float) -> str:
        """How much is done, in words.

        Args:
            seconds: of the videos that are read.
        """
        return f"{format_seconds(seconds)} of {format_seconds(self.total)}"


ReadAnswers: TypeAlias = Generator[tuple[ReadingTask, ReadingAnswer | Failure], None, None]
"""What came of each task, as soon as it is done and in any order; closing it ends the work."""

ReadTasks: TypeAlias = Callable[[ReadingJob], ReadAnswers]
"""Works through a job; a process that cannot be started is a `WorkerError`, raised or an answer."""
