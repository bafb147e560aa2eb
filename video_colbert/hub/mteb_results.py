"""Results of mteb's tasks as a checkpoint carries them: read from its folder, and shown in its card.

They stand in the card and in its `model-index` under mteb's names and data. They never become files of
`.eval_results/`: a leaderboard of a data set compares figures of one protocol, and mteb's tasks have splits of their
own, such as the 879 pairs of MSRVTTT2V where MSR-VTT's 1k-A has 1,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from video_colbert.errors import CheckpointError
from video_colbert.evaluation.mteb_models.task_results import METRICS, MTEB_RESULTS_FILE, MtebResult, split_note
from video_colbert.hub.json_files import read_json_list_if_there
from video_colbert.hub.published_text import escaped, hub_id, markdown_table

_TEXTS = ("task", "subset", "split", "dataset", "dataset_revision", "mteb_version")
_COUNTS = ("num_queries", "num_documents", "num_bad")


def read_mteb_results(folder: Path) -> list[MtebResult]:
    """Reads the results of mteb's tasks of a checkpoint.

    Args:
        folder: the checkpoint; there are none where it has no `mteb_results.json`.

    Raises:
        CheckpointError: the file is not a list of results; the message names the item and the field.
    """
    path = folder / MTEB_RESULTS_FILE
    content = read_json_list_if_there(path, "results of mteb")
    return [_parsed(item, f"item {number} of {path}") for number, item in enumerate(content)]


def mteb_model_index(results: Sequence[MtebResult]) -> list[EvalResult]:
    """Turns results into entries of a card's `model-index`, one for each metric."""
    return [
        EvalResult(
            task_type="video-text-retrieval",
            task_name="MTEB retrieval",
            dataset_type=hub_id(result.dataset) or result.dataset,
            dataset_name=f"MTEB {result.task}",
            dataset_config=result.subset,
            dataset_split=result.split,
            dataset_revision=result.dataset_revision,
            metric_type=name,
            metric_value=result.metrics[name],
            metric_name=label,
        )
        for result in results
        for name, label in METRICS.items()
    ]


def mteb_section(results: Sequence[MtebResult]) -> str:
    """Writes the part of a card's evaluation that mteb measured, in Markdown; empty without results."""
    if not results:
        return ""
    header = ["Task", "Split", *METRICS.values(), "Queries", "Searched in", "mteb"]
    rows = []
    for result in results:
        split = result.split if result.subset == "default" else f"{result.split}, {result.subset}"
        counts = ["" if count is None else str(count) for count in (result.num_queries, result.num_documents)]
        figures = [f"{100 * result.metrics[name]:.2f}" for name in METRICS]
        rows.append([escaped(result.task), escaped(split), *figures, *counts, escaped(result.mteb_version)])
    lines = ["### Tasks of mteb", markdown_table(header, rows)]
    lines.append("In percent. The splits are mteb's own, and so is the order of tied scores.")
    for task in dict.fromkeys(result.task for result in results):
        if note := split_note(task):
            lines.append(f"{escaped(task)} is {note}.")
    if bad := sum(result.num_bad or 0 for result in results):
        lines.append(f"{bad} videos could not be decoded and count as not found.")
    return "\n\n".join(lines)


def _parsed(item: object, place: str) -> MtebResult:
    if not isinstance(item, dict):
        raise CheckpointError(f"{place} must be an object, not a {type(item).__name__}")
    for name in _TEXTS:
        if not isinstance(item.get(name), str):
            raise CheckpointError(f"{name} in {place} must be a text, not {item.get(name)!r}")
    for name in _COUNTS:
        count = item.get(name)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
            raise CheckpointError(f"{name} in {place} must be a whole number from 0 or null, not {count!r}")
    metrics: Any = item.get("metrics")
    if not isinstance(metrics, dict) or not all(isinstance(metrics.get(name), int | float) for name in METRICS):
        raise CheckpointError(f"metrics in {place} must give numbers for {', '.join(METRICS)}, not {metrics!r}")
    values: dict[str, Any] = {field.name: item.get(field.name) for field in fields(MtebResult)}
    return MtebResult(**values)
