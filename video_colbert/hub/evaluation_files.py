"""Evaluation results as a checkpoint carries them: our own file, and the Hub's two formats.

The Hub's formats are the `model-index` of a model card and the files of `.eval_results/`
(https://huggingface.co/docs/hub/eval-results), which feed the leaderboards of data sets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml
from huggingface_hub.utils import yaml_dump  # type: ignore[attr-defined] # public, but not declared so

from video_colbert.dataset_builders.mirrors.hub_mirrors import MIRRORS
from video_colbert.dataset_builders.protocols import get_split
from video_colbert.errors import CheckpointError
from video_colbert.evaluation.dual_softmax import DUAL_SOFTMAX
from video_colbert.evaluation.metrics import Ties
from video_colbert.evaluation.result_text import DIRECTIONS, LEVELS, conditions_text, gallery_text
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.hub.json_files import read_json_list_if_there
from video_colbert.hub.published_text import hub_id

EVALUATION_FILE = "evaluation.json"
"""In a checkpoint folder: a JSON list, each item the fields of an `EvaluationResult`."""

OWN_SCORE = "sum"
"""The level that stands for the model's own score, the sum of the levels that it has."""

_DATASET_NAMES = {
    "activitynet": "ActivityNet Captions",
    "didemo": "DiDeMo",
    "msrvtt": "MSR-VTT",
    "msvd": "MSVD",
    "vatex": "VATEX",
}
_NUMBERS = {"num_videos", "num_expected_videos", "num_queries", "truncated_queries"}
_REQUIRED = [field.name for field in fields(EvaluationResult) if field.default is MISSING]
# A result made elsewhere may leave these out: a set without protocols, an encoder that cuts no captions.
_OPTIONAL: dict[str, Any] = {"protocol": None, "truncated_queries": 0}


def read_evaluation_results(folder: Path) -> list[EvaluationResult]:
    """Reads the evaluation results of a checkpoint.

    Args:
        folder: the checkpoint; none are read where it has no `evaluation.json`.

    Returns:
        The results, in the file's order.

    Raises:
        CheckpointError: the file is not a list of results; the message names the item and the field.
    """
    path = folder / EVALUATION_FILE
    content = read_json_list_if_there(path, "evaluation results")
    results = [_parsed(item, f"item {place} of {path}") for place, item in enumerate(content)]
    seen = set()
    for result in results:
        key = (result.dataset, result.protocol, result.split, result.level, result.direction)
        conditions = conditions_text(result)
        if (key, *conditions) in seen:
            named = " / ".join(map(str, (*key, *conditions)))
            raise CheckpointError(f"{path} has two results for {named}; keep one")
        seen.add((key, *conditions))
    return results


def write_evaluation_results(folder: Path, results: Sequence[EvaluationResult]) -> None:
    """Writes evaluation results beside a checkpoint, in place of those that are there."""
    content = [result.as_dict() for result in results]
    (folder / EVALUATION_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def dataset_name(dataset: str) -> str:
    """The name of a data set as papers write it."""
    return _DATASET_NAMES.get(dataset, dataset)


def dataset_hub_id(dataset: str) -> str | None:
    """The Hub's id of a data set; None for one that is not known to be there."""
    if "/" in dataset:
        return hub_id(dataset)
    return MIRRORS[dataset].repo_id if dataset in MIRRORS else None


def to_model_index(results: Sequence[EvaluationResult]) -> list[EvalResult]:
    """Turns results of the model's own score into entries of a card's `model-index`, one for each metric.

    Those on videos that a checkpoint was chosen on are left out, for they are no test of it.
    """
    return [
        EvalResult(
            task_type=f"{result.direction.replace('_', '-')}-retrieval",
            task_name=f"{DIRECTIONS[result.direction]} retrieval".capitalize(),
            dataset_type=dataset_hub_id(result.dataset) or result.dataset,
            dataset_name=dataset_name(result.dataset),
            dataset_config=result.protocol,
            dataset_split=result.split,
            metric_type=name,
            metric_value=value,
            metric_name=f"{name} ({'; '.join([gallery_text(result), *conditions_text(result)])})",
            metric_args={
                "num_videos": result.num_videos,
                "num_expected_videos": result.num_expected_videos,
                "num_queries": result.num_queries,
            },
        )
        for result in results
        if result.level == OWN_SCORE and result.split == "test"
        for name, value in result.metrics.items()
    ]


def hub_result_files(results: Sequence[EvaluationResult]) -> dict[str, bytes]:
    """Turns results into files of `.eval_results/`, whose entries hold the R@1 of the model's own score.

    A leaderboard compares values and reads no notes, so only the test split of a protocol has entries, with all of
    its videos, plain scores and the usual way to rank ties; and only of a data set on the Hub, for others have no
    leaderboard. What was measured on validation videos, or on some held out of training, is in the card alone.

    Returns:
        The content of each file by its path in the repository.
    """
    entries: dict[str, list[EvalResultEntry]] = {}
    for result in results:
        dataset_id = dataset_hub_id(result.dataset)
        comparable = _is_whole_test_split(result) and not conditions_text(result)
        if dataset_id is None or result.level != OWN_SCORE or not comparable:
            continue
        figures = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
        parts = [
            f"protocol {result.protocol}",
            f"split {result.split}",
            gallery_text(result),
            f"{result.num_queries} queries",
            figures,
        ]
        if result.selection is not None:
            parts.append(f"checkpoint: {result.selection}")
        entry = EvalResultEntry(
            dataset_id=dataset_id,
            task_id=f"{result.protocol}_{result.split}_{result.direction}",
            value=result.metrics["R@1"],
            notes="; ".join(parts),
        )
        entries.setdefault(dataset_id.split("/")[-1].lower(), []).append(entry)
    return {
        f".eval_results/{name}.yaml": yaml_dump(eval_result_entries_to_yaml(group), sort_keys=False).encode()
        for name, group in entries.items()
    }


def _is_whole_test_split(result: EvaluationResult) -> bool:
    """Whether a result is on all videos of the test split that a protocol defines."""
    if result.protocol is None:
        return False
    try:
        expected = get_split(result.dataset, result.protocol, result.split)
    except ValueError:
        return False
    is_whole = result.num_videos == result.num_expected_videos and expected.videos in (None, result.num_videos)
    return result.split == "test" and is_whole


def _parsed(item: object, place: str) -> EvaluationResult:
    if not isinstance(item, dict):
        raise CheckpointError(f"{place} must be an object, not a {type(item).__name__}")
    values = _OPTIONAL | {field.name: item[field.name] for field in fields(EvaluationResult) if field.name in item}
    if missing := [name for name in _REQUIRED if name not in values]:
        raise CheckpointError(f"{place} lacks {', '.join(missing)}")
    for name in _NUMBERS:
        if not isinstance(values[name], int) or isinstance(values[name], bool) or values[name] < 0:
            raise CheckpointError(f"{name} in {place} must be a whole number from 0, not {values[name]!r}")
    for name, allowed in (("level", LEVELS), ("direction", DIRECTIONS)):
        if values[name] not in allowed:
            raise CheckpointError(f"{name} in {place} must be one of {', '.join(allowed)}, not {values[name]!r}")
    metrics = values["metrics"]
    is_metrics = isinstance(metrics, dict) and all(isinstance(value, int | float) for value in metrics.values())
    if not is_metrics or "R@1" not in metrics:
        raise CheckpointError(f"metrics in {place} must give numbers by name, R@1 among them, not {metrics!r}")
    for name, known in (("ties", get_args(Ties)), ("reweighting", (None, DUAL_SOFTMAX))):
        if values.get(name, known[0]) not in known:
            choices = ", ".join("null" if choice is None else choice for choice in known)
            raise CheckpointError(f"{name} in {place} must be one of {choices}, not {values[name]!r}")
    weights = values.get("level_weights")
    if weights is not None and not (
        isinstance(weights, dict) and all(isinstance(weight, int | float) for weight in weights.values())
    ):
        raise CheckpointError(f"level_weights in {place} must give numbers by level, not {weights!r}")
    judged, by_source = values.get("num_judged_queries"), values.get("by_source")
    if judged is not None and (not isinstance(judged, int) or isinstance(judged, bool) or judged < 0):
        raise CheckpointError(f"num_judged_queries in {place} must be a whole number from 0 or null, not {judged!r}")
    if by_source is not None and not _are_figures_by_source(by_source):
        raise CheckpointError(f"by_source in {place} must give numbers by name and source, not {by_source!r}")
    intervals = values.get("confidence_intervals")
    if intervals is not None:
        if not isinstance(intervals, dict) or not all(_is_interval(interval) for interval in intervals.values()):
            raise CheckpointError(f"confidence_intervals in {place} must give two numbers by name, not {intervals!r}")
        values["confidence_intervals"] = {name: tuple(interval) for name, interval in intervals.items()}
    if values["num_videos"] > values["num_expected_videos"]:
        raise CheckpointError(
            f"num_videos in {place} is {values['num_videos']}, more than num_expected_videos, "
            f"{values['num_expected_videos']}"
        )
    return EvaluationResult(**values)


def _is_interval(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(end, int | float) for end in value)


def _are_figures_by_source(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(figures, dict) and all(isinstance(figure, int | float) for figure in figures.values())
        for figures in value.values()
    )
