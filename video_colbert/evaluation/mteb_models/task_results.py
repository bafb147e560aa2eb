"""What mteb measured on a task, in a form that a checkpoint carries and a card shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mteb import AbsTask, TaskResult

MTEB_RESULTS_FILE = "mteb_results.json"
"""In a checkpoint folder: a JSON list, each item the fields of an `MtebResult`."""

METRICS = {"ndcg_at_10": "nDCG@10", "recall_at_1": "R@1", "recall_at_5": "R@5", "recall_at_10": "R@10"}
"""Names of metrics, mteb's and those of this field."""

_TEST_SPLITS = {
    "MSRVTT": "879 of the 1,000 pairs of MSR-VTT's 1k-A test split, so its figures do not compare with those of 1k-A",
}


@dataclass(frozen=True)
class MtebResult:
    """Metrics of one subset and split of a task of mteb.

    Attributes:
        task: mteb's name of it.
        subset: of its data, "default" where there is one.
        split: of its data.
        dataset: the data's Hub id.
        dataset_revision: its commit.
        mteb_version: of the release that measured.
        metrics: by mteb's names, from 0 to 1; those of `METRICS`.
        num_queries: queries that were searched; None where the figures are those of an earlier run.
        num_documents: what was searched in, likewise.
        num_bad: videos that could not be decoded, likewise; they count as not found.
    """

    task: str
    subset: str
    split: str
    dataset: str
    dataset_revision: str
    mteb_version: str
    metrics: dict[str, float]
    num_queries: int | None = None
    num_documents: int | None = None
    num_bad: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields, in types that JSON has."""
        return asdict(self)


def results_of_task(
    task: AbsTask, result: TaskResult, counted: tuple[int, int] | None, num_bad: int | None
) -> list[MtebResult]:
    """What a file of mteb's says, without the hundred metrics that nobody compares.

    Args:
        task: the task.
        result: mteb's.
        counted: queries and documents, if it was run now.
        num_bad: videos that could not be decoded, likewise.
    """
    num_queries, num_documents = counted or (None, None)
    return [
        MtebResult(
            task=result.task_name,
            subset=scores["hf_subset"],
            split=split,
            dataset=task.metadata.dataset["path"],
            dataset_revision=result.dataset_revision,
            mteb_version=str(result.mteb_version),
            metrics={name: float(scores[name]) for name in METRICS},
            num_queries=num_queries,
            num_documents=num_documents,
            num_bad=num_bad,
        )
        for split, of_subsets in result.scores.items()
        for scores in of_subsets
    ]


def split_note(task: str) -> str | None:
    """What must be said of a task whose data look like a split that papers report on, and are another.

    Args:
        task: mteb's name of it.
    """
    return next((note for prefix, note in _TEST_SPLITS.items() if task.startswith(prefix)), None)


def results_text(results: Sequence[MtebResult]) -> str:
    """The metrics as a table in percent, with what they are of and what they do not compare with."""
    width = max(len(_title(result)) for result in results)
    lines = [" " * width + "".join(f"{name:>9}" for name in METRICS.values())]
    for result in results:
        figures = "".join(f"{100 * result.metrics[name]:>9.2f}" for name in METRICS)
        counts = "" if result.num_queries is None else f"  {result.num_queries} queries, {result.num_documents} videos"
        bad = f", {result.num_bad} of them bad" if result.num_bad else ""
        lines.append(f"{_title(result):<{width}}{figures}{counts}{bad}")
    for task in dict.fromkeys(result.task for result in results):
        if note := split_note(task):
            lines.append(f"{task} is {note}.")
    return "\n".join(lines)


def _title(result: MtebResult) -> str:
    subset = "" if result.subset == "default" else f", {result.subset}"
    return f"{result.task} ({result.split}{subset})"
