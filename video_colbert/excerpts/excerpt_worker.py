"""The process that a file is cut in, since decoders crash and hang on odd files.

What it takes is imported here, by the server that such processes start from, and not by each of them.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from video_colbert.errors import ExcerptError, WorkerError
from video_colbert.excerpts.copying import CannotCopyError, copy_stretch
from video_colbert.excerpts.reencoding import encode_stretches
from video_colbert.excerpts.stretch import CutReport, Stretch
from video_colbert.processes.worker_pool import Failure, WorkerPool
from video_colbert.processing.video_sources import VideoDecodingError, open_source
from video_colbert.processing.video_stream import OpenVideoFile

Answer: TypeAlias = CutReport | bytes | ExcerptError


@dataclass(frozen=True)
class ExcerptTask:
    """What is to be written of which video.

    Attributes:
        stretches: of which videos; a picture is that of the first one's start.
        destination: the file to write; None for a picture.
        copies: whether packets are copied where that can be done.
        max_height: height of frames, at most; None as they are.
        time_limit: seconds that decoding a file may take.
    """

    stretches: tuple[Stretch, ...]
    destination: str | None
    copies: bool = False
    max_height: int | None = None
    time_limit: float = 600.0


def in_a_process(task: ExcerptTask) -> CutReport | bytes:
    """Does a task in a process of its own, which may crash or hang.

    Returns:
        What was written; the JPEG of a picture.

    Raises:
        ExcerptError: a video cannot be read, or the file cannot be written; the message says which and why.
    """
    name = task.stretches[0].source
    try:
        with WorkerPool(start_excerpts, workers=1, timeout=task.time_limit) as pool:
            [finished] = pool.results([task])
    except WorkerError as error:
        raise ExcerptError(f"{name}: {error}") from error
    if isinstance(finished.answer, Failure):
        raise ExcerptError(f"{name}: {finished.answer.reason}")
    if isinstance(finished.answer, ExcerptError):
        raise finished.answer
    return finished.answer


def start_excerpts() -> Callable[[ExcerptTask], Answer]:
    """What a process answers tasks by."""
    return _answer


def _answer(task: ExcerptTask) -> Answer:
    try:
        return _picture(task) if task.destination is None else _file(task, Path(task.destination))
    except VideoDecodingError as error:
        return ExcerptError(str(error))
    # Odd files make decoders raise whatever; the process goes on.
    except Exception as error:
        reason = getattr(error, "strerror", None) or error
        return ExcerptError(f"{task.stretches[0].source}: cannot be cut: {reason}")


def _file(task: ExcerptTask, destination: Path) -> CutReport:
    reason = None
    if task.copies:
        try:
            return copy_stretch(task.stretches[0], destination, time_limit=task.time_limit)
        except CannotCopyError as error:
            reason = str(error)
    report = encode_stretches(task.stretches, destination, max_height=task.max_height, time_limit=task.time_limit)
    return dataclasses.replace(report, reason=reason)


def _picture(task: ExcerptTask) -> bytes:
    [stretch] = task.stretches

    def choose(times: np.ndarray, _duration: float) -> np.ndarray:
        return np.array([max(int(np.searchsorted(times, stretch.start + 1e-6, side="right")) - 1, 0)])

    with (
        open_source(stretch.source) as file,
        OpenVideoFile(file, stretch.source, time_limit=task.time_limit) as opened,
    ):
        image = Image.fromarray(np.ascontiguousarray(opened.decode(choose).frames[0]))
    height = min(task.max_height or image.height, image.height)
    if height < image.height:
        image = image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
