"""Tasks of mteb run on a model: text to video on our index, other directions by mteb's own search."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.mteb_models.installed import check_mteb_installed
from video_colbert.evaluation.mteb_models.loading import mteb_model
from video_colbert.evaluation.mteb_models.task_results import MtebResult, results_of_task

if TYPE_CHECKING:
    from mteb import AbsTask


@dataclass(frozen=True)
class TaskRun:
    """What a run over tasks gave.

    Attributes:
        results: of each task, subset and split.
        bad: by task, the videos that could not be decoded; they count as not found.
        folder: where mteb's own files are.
    """

    results: list[MtebResult]
    bad: dict[str, list[BadVideo]]
    folder: Path


def run_tasks(
    encoder: VideoColBERTEncoder,
    tasks: Sequence[str | AbsTask],
    *,
    results_dir: str | os.PathLike[str] | None = None,
    index_dir: str | os.PathLike[str] | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    meta: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> TaskRun:
    """Runs tasks of mteb, and keeps the results as mteb's own files.

    Results of the same model, revision and task that lie in `results_dir` already are taken from there, as mteb does.

    Args:
        encoder: the model.
        tasks: names of tasks, such as "MSRVTTT2V", or tasks.
        results_dir: folder of mteb's results; by default mteb's own, `~/.cache/mteb`.
        index_dir: folder that keeps the tasks' indexes; by default they are in memory.
        batch_size: texts, or videos, that go through the model together.
        threads: decoding threads.
        meta: fields of mteb's `ModelMeta` in place of what is found.
        progress: whether mteb shows progress bars.

    Raises:
        MissingExtraError: the `mteb` extra is not installed.
        ValueError: there is no such task, it is not about texts and videos, or its data are not as they should be.
        OSError: its data cannot be had, or the results cannot be written.
    """
    check_mteb_installed()
    import mteb
    from mteb.types import PromptType

    if not tasks:
        raise ValueError("no task is named; name one of mteb's, such as MSRVTTT2V")
    cache = mteb.ResultCache() if results_dir is None else mteb.ResultCache(Path(results_dir))
    search = mteb_model(encoder, index_dir=index_dir, threads=threads, meta=meta)
    by_encoder = mteb_model(encoder, as_encoder=True, threads=threads, meta=meta)
    results: list[MtebResult] = []
    for task in [_task(each) if isinstance(each, str) else each for each in tasks]:
        looks_for_videos = "video" in task.metadata.get_modalities(PromptType.document)
        found = mteb.evaluate(
            search if looks_for_videos else by_encoder,
            task,
            cache=cache,
            encode_kwargs={"batch_size": batch_size, "show_progress_bar": progress},
            show_progress_bar=progress,
            co2_tracker=False,
        )
        counted = search.counted.get(task.metadata.name)
        num_bad = None if counted is None else len(search.bad[task.metadata.name])
        for result in found.task_results:
            results += results_of_task(task, result, counted, num_bad)
    return TaskRun(results, {task: bad for task, bad in search.bad.items() if bad}, cache.cache_path)


def _task(name: str) -> AbsTask:
    """A task by its name.

    Raises:
        ValueError: mteb has none of that name.
    """
    import mteb

    try:
        return mteb.get_task(name)
    except KeyError as error:
        advice = str(error.args[0]).splitlines()[0].removeprefix("KeyError: ")
        raise ValueError(f"mteb has no task {name!r}: {advice}") from error
