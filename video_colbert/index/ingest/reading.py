"""Passages into an index: what readers find in its videos' files is kept, and not read a second time."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.encoding_plan import DEFAULT_TIMEOUT_SECONDS
from video_colbert.errors import VideoColBERTError
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.ingest.content_files import ReadContent, contents_to_read, note_description_column
from video_colbert.index.ingest.reading_tasks.local_reading import read_here
from video_colbert.index.ingest.reading_tasks.reading_job import ReadingJob, ReadTasks
from video_colbert.index.ingest.reading_tasks.reading_process import OtherContent, ReadingAnswer, ReadingTask
from video_colbert.index.ingest.report import IndexingReport
from video_colbert.index.ingest.writer import SECONDS_BETWEEN_WRITES
from video_colbert.index.passages.reading_store import Reading
from video_colbert.index.video_index import VideoIndex
from video_colbert.processes.worker_pool import Failure
from video_colbert.text.passages import Passage, PassageReader, Source

# A file may take so many times as long as it lasts before it is given up.
_MOST_TIMES_ITS_LENGTH = 20.0


@dataclass(frozen=True)
class ReadingPlace:
    """What is read where videos are not in the index yet.

    Attributes:
        videos: the videos, stored or about to be.
        before: takes digest and source of all that will be read, before anything is.
    """

    videos: Sequence[IndexedVideo]
    before: Callable[[Iterable[tuple[str, Source]]], None]


def read_passages(
    index: VideoIndex,
    readers: Sequence[PassageReader],
    files: Iterable[str | os.PathLike[str]],
    *,
    place: ReadingPlace | None = None,
    description_column: str | None = None,
    workers: int | None = None,
    read: ReadTasks | None = None,
    retry_bad: bool = False,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    seconds_between_writes: float = SECONDS_BETWEEN_WRITES,
) -> IndexingReport:
    """Reads passages of videos that an index holds, and keeps them in it.

    A content is read once by readers of the same settings. What was read is written from time to time and when the
    run is interrupted.

    Args:
        index: the index.
        readers: at most one a source.
        files: paths; those that are not in the index are passed over, and of the same content one is read.
        place: other videos than those of the index; None for these.
        description_column: a column of the videos' metadata that is a description too, where there is a reader of
            descriptions; so are those that earlier runs named.
        workers: processes of this machine; by default one for each core, which they share with each other.
        read: what reads in their place, such as `RayReaders.read`.
        retry_bad: whether to read again what an earlier run could not read as a whole.
        timeout: seconds after which a file is given up, unless it lasts long.
        seconds_between_writes: how long what was read may wait to be written.

    Returns:
        What was read by source, and what could not be read; the rest of the report is empty.

    Raises:
        ValueError: two readers of one source.
        IndexStoreError: the index cannot be read or written.
        ModelLoadError: a reader's model cannot be loaded.
        PassageError: a reader cannot read what is asked for.
        WorkerError: processes cannot be started.
    """
    if len({reader.source for reader in readers}) < len(readers):
        raise ValueError(f"readers must be of different sources, got {[reader.source for reader in readers]}")
    report = IndexingReport()
    columns: Sequence[str] = ()
    if any(reader.source == "description" for reader in readers):
        columns = note_description_column(index, description_column)
    contents, report.bad = contents_to_read(index.videos if place is None else place.videos, files, columns)
    tasks = _tasks(index, readers, contents, retry_bad, report)
    if not tasks:
        return report
    if place is not None:
        place.before((task.digest, task.source) for task in tasks)
    seconds = [contents[task.digest].video.duration for task in tasks]
    job = ReadingJob(readers, tasks, seconds, max(timeout, _MOST_TIMES_ITS_LENGTH * max(seconds)))
    run = _Run(index, contents, report, seconds_between_writes)
    answers = read_here(job, workers=workers) if read is None else read(job)
    with contextlib.closing(answers):
        try:
            for task, answer in answers:
                run.take(task, answer)
        finally:
            # On Ctrl-C and on errors too.
            run.flush()
    return report


class _Run:
    """Takes what was read, and writes it now and then."""

    def __init__(
        self,
        index: VideoIndex,
        contents: Mapping[str, ReadContent],
        report: IndexingReport,
        seconds_between_writes: float,
    ) -> None:
        self._readings = index.readings
        self._contents = contents
        self._report = report
        self._seconds_between_writes = seconds_between_writes
        self._held: list[Reading] = []
        self._last_write = time.monotonic()

    def take(self, task: ReadingTask, answer: ReadingAnswer | Failure) -> None:
        """Takes the outcome of a task.

        Raises:
            VideoColBERTError: it is an error of the reader.
        """
        if isinstance(answer, VideoColBERTError):
            raise answer
        if isinstance(answer, Failure):
            # That may have come of the machine, so another run tries again.
            self._report.bad.append(_bad(task.path, task.source, f"reading it {answer.reason}"))
            return
        if isinstance(answer, OtherContent):
            reason = "it changed since its pictures were encoded; index it again"
            self._report.bad.append(_bad(task.path, task.source, reason))
            return
        passages = tuple(answer.passages)
        if task.source == "description":
            described = self._contents[task.digest].described
            others = (passage for passage in passages if passage.text not in described)
            passages = (*(Passage("description", text) for text in described), *others)
        self._held.append(Reading(task.digest, task.source, task.settings, passages, answer.problem))
        self._report.read[task.source] = self._report.read.get(task.source, 0) + 1
        if answer.problem is not None:
            self._report.bad.append(_bad(task.path, task.source, answer.problem))
        if time.monotonic() - self._last_write >= self._seconds_between_writes:
            self.flush()

    def flush(self) -> None:
        """Writes what was read."""
        held, self._held = self._held, []
        self._readings.keep(held)
        self._last_write = time.monotonic()


def _tasks(
    index: VideoIndex,
    readers: Sequence[PassageReader],
    contents: Mapping[str, ReadContent],
    retry_bad: bool,
    report: IndexingReport,
) -> list[ReadingTask]:
    """What is still to be read; what an earlier run could not read is reported."""
    known, problems = index.readings.known(), index.readings.problems()
    tasks = []
    for digest, content in contents.items():
        for reader in readers:
            (path, state), settings = content.file_for(reader), content.settings_for(reader)
            key = digest, reader.source
            if known.get(key) != settings or (retry_bad and key in problems):
                tasks.append(ReadingTask(path, digest, state, reader.source, settings, clock=0))
            elif key in problems:
                report.known_bad.append(_bad(path, reader.source, problems[key]))
    return tasks


def _bad(path: str, source: Source, reason: str) -> BadVideo:
    return BadVideo(path, f"{source.replace('_', ' ')}: {reason}")
