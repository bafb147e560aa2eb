"""What a process that reads passages does: it loads the readers it needs, and answers with what a file holds."""

from __future__ import annotations

import functools
import gc
import platform
import threading
import time
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from video_colbert.encoding.media_files import content_digest
from video_colbert.errors import MissingExtraError, VideoColBERTError
from video_colbert.text.passages import PassageReader, ReadPassages, Source

# Of a whole file's modification time; an index keeps seconds as a float.
_TIME_TOLERANCE = 1e-3


@dataclass(frozen=True)
class FileState:
    """What a file was when its content was known; None where that is not known.

    Attributes:
        size: in bytes.
        modified: in seconds since 1970.
    """

    size: int | None
    modified: float | None

    @classmethod
    def of(cls, path: str) -> FileState:
        """The state of a file.

        Raises:
            OSError: there is none, or it cannot be looked at.
        """
        status = Path(path).stat()
        return cls(status.st_size, status.st_mtime)

    def fits(self, other: FileState) -> bool:
        """Whether two states may be of one content: what is known of both is equal."""
        is_same_size = None in (self.size, other.size) or self.size == other.size
        if self.modified is None or other.modified is None:
            return is_same_size
        return is_same_size and abs(self.modified - other.modified) < _TIME_TOLERANCE


@dataclass(frozen=True)
class ReadingTask:
    """Asks for the passages of one source of one file.

    Attributes:
        path: of the file.
        digest: of the content that it had.
        state: of the file when it had that content.
        source: which reader reads it.
        settings: of that reader for the file.
        clock: number of the place that says how far the reading is.
    """

    path: str
    digest: str
    state: FileState
    source: Source
    settings: str
    clock: int


@dataclass(frozen=True)
class OtherContent:
    """What is said of a file that no longer holds the content that it had."""


ReadingAnswer: TypeAlias = ReadPassages | OtherContent | VideoColBERTError
"""An error is one of the reader, which concerns all files."""


def start_reading(
    readers: Sequence[PassageReader], threads: int, clocks: MutableSequence[float]
) -> Callable[[ReadingTask], ReadingAnswer]:
    """Prepares a process that reads passages.

    Args:
        readers: one a source, not loaded.
        threads: processor threads for each.
        clocks: where tasks say how many seconds of the video they have read.
    """
    from tqdm import tqdm

    # Recognisers' bars make a lock of several processes otherwise, which a process that is ended leaves behind.
    tqdm.set_lock(threading.RLock())
    return functools.partial(_answer, {reader.source: reader for reader in readers}, threads, clocks, set())


def _answer(
    readers: dict[Source, PassageReader],
    threads: int,
    clocks: MutableSequence[float],
    loaded: set[Source],
    task: ReadingTask,
) -> ReadingAnswer:
    reader = readers[task.source]
    last_written = 0.0

    def progress(seconds: float) -> None:
        nonlocal last_written
        if time.monotonic() - last_written > 0.1:
            last_written = time.monotonic()
            clocks[task.clock] = seconds

    try:
        if task.source not in loaded:
            reader.load(threads)
            loaded.add(task.source)
            # Models stay. Collections that went through them would take longer than reading subtitles does.
            gc.collect()
            gc.freeze()
        before = FileState.of(task.path)
        if not _is_content(task, before):
            return OtherContent()
        found = reader.read(task.path, progress)
        return found if FileState.of(task.path) == before else OtherContent()
    except OSError as error:
        return ReadPassages([], f"cannot be read: {error.strerror or error}")
    except ImportError as error:
        # It is there where the reader was made, which may be another machine.
        return MissingExtraError(
            f"{task.source.replace('_', ' ')} needs the package {error.name}, which is not installed on "
            f"{platform.node()}; install the same extras there"
        )
    except VideoColBERTError as error:
        return error


def _is_content(task: ReadingTask, state: FileState) -> bool:
    """Whether the file in its present state holds the content of a task."""
    if state.fits(task.state):
        return True
    # Another machine's copy has a time of its own, and so has a file that was only touched.
    is_same_size = FileState(state.size, None).fits(task.state)
    return is_same_size and content_digest(task.path) == task.digest
