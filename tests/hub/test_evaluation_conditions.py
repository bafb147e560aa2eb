"""Figures that were not made in the usual way never pass for usual ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hub.evaluations import evaluation_items
from video_colbert.errors import CheckpointError
from video_colbert.hub.evaluation_files import hub_result_files, read_evaluation_results, to_model_index


def write(folder: Path, *items: object) -> None:
    (folder / "evaluation.json").write_text(json.dumps(items))


def test_reweighted_figures_stand_beside_plain_ones_labelled_and_off_the_leaderboard(tmp_path: Path) -> None:
    write(tmp_path, *evaluation_items(), *evaluation_items(reweighting="dual_softmax"))
    results = read_evaluation_results(tmp_path)
    names = [entry.metric_name or "" for entry in to_model_index(results)]
    assert sum("dual softmax, which sees all queries" in name for name in names) == len(names) / 2
    (content,) = hub_result_files(results).values()
    plain = [result for result in results if result.reweighting is None]
    assert hub_result_files(plain) == dict.fromkeys(hub_result_files(plain), content)
    other_ties = [result for result in read_evaluation_results(tmp_path) if result.reweighting is not None]
    assert hub_result_files(other_ties) == {}


def test_confidence_intervals_come_back_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path, *evaluation_items(confidence_intervals={"R@1": [38.0, 42.5]}))
    assert {result.confidence_intervals["R@1"] for result in read_evaluation_results(tmp_path)} == {(38.0, 42.5)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ties": "lucky"}, "ties in item 0 of .* must be one of expected"),
        ({"reweighting": "more"}, "reweighting in item 0 of .* must be one of null, dual_softmax"),
        ({"confidence_intervals": {"R@1": [1]}}, "must give two numbers by name"),
    ],
)
def test_unknown_conditions_are_refused(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    write(tmp_path, *evaluation_items(**fields))
    with pytest.raises(CheckpointError, match=message):
        read_evaluation_results(tmp_path)
