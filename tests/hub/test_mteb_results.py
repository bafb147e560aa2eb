from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.hub.evaluations import evaluation_items
from video_colbert.errors import CheckpointError
from video_colbert.evaluation.mteb_models.task_results import results_text
from video_colbert.hub import build_model_card, write_model_card
from video_colbert.hub.checkpoint_files import find_checkpoint_files
from video_colbert.hub.mteb_results import read_mteb_results


def items(**fields: object) -> list[dict[str, Any]]:
    """A result of a task, as `mteb_results.json` holds it, with `fields` in place of its own."""
    return [
        {
            "task": "MSRVTTT2V",
            "subset": "default",
            "split": "test",
            "dataset": "mteb/MSR-VTT",
            "dataset_revision": "4661603",
            "mteb_version": "2.26.24",
            "metrics": {"ndcg_at_10": 0.6123, "recall_at_1": 0.405, "recall_at_5": 0.7, "recall_at_10": 0.8},
            "num_queries": 879,
            "num_documents": 879,
            "num_bad": 2,
        }
        | fields
    ]


@pytest.fixture
def folder(tmp_path: Path, checkpoint_folder: Path) -> Path:
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "my-model"))


def test_a_card_shows_them_apart_from_the_figures_of_papers(folder: Path) -> None:
    (folder / "mteb_results.json").write_text(json.dumps(items()))
    (folder / "evaluation.json").write_text(json.dumps(evaluation_items()))
    assert "mteb_results.json" in find_checkpoint_files(folder).kept
    card = build_model_card(folder)
    assert "| MSRVTTT2V | test | 61.23 | 40.50 | 70.00 | 80.00 | 879 | 879 | 2.26.24 |" in card.text
    assert "figures do not compare with those of 1k-A" in card.text
    assert "2 videos could not be decoded and count as not found." in card.text
    of_mteb = [entry for entry in card.data.eval_results if entry.dataset_type == "mteb/MSR-VTT"]
    assert {entry.metric_name: entry.metric_value for entry in of_mteb} == {
        "nDCG@10": 0.6123,
        "R@1": 0.405,
        "R@5": 0.7,
        "R@10": 0.8,
    }


def test_no_leaderboards_entry_is_made_of_them(folder: Path) -> None:
    (folder / "mteb_results.json").write_text(json.dumps(items()))
    write_model_card(folder)
    assert not (folder / ".eval_results").exists()
    # Nor where somebody writes the task's figures as if they were of the benchmark.
    disguised = evaluation_items(num_videos=879, num_expected_videos=879, num_queries=879)
    (folder / "evaluation.json").write_text(json.dumps(disguised))
    write_model_card(folder)
    assert not (folder / ".eval_results").exists()


def test_counts_of_an_earlier_run_are_left_out(folder: Path) -> None:
    (folder / "mteb_results.json").write_text(json.dumps(items(num_queries=None, num_documents=None, num_bad=None)))
    [result] = read_mteb_results(folder)
    assert "queries" not in results_text([result])
    assert "| 80.00 |  |  | 2.26.24 |" in build_model_card(folder).text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not JSON"),
        ("{}", "must hold a list of results of mteb, not a dict"),
        ("[1]", "item 0 .* must be an object, not a int"),
        (json.dumps(items(task=None)), "task in item 0 .* must be a text, not None"),
        (json.dumps(items(num_queries=-1)), "num_queries in item 0 .* must be a whole number from 0"),
        (json.dumps(items(metrics={"ndcg_at_10": 0.5})), "metrics in item 0 .* must give numbers for ndcg_at_10, rec"),
    ],
)
def test_a_damaged_file_is_refused_by_item_and_field(folder: Path, content: str, message: str) -> None:
    (folder / "mteb_results.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        read_mteb_results(folder)
