from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from tests.hub.evaluations import evaluation_items
from video_colbert.errors import CheckpointError
from video_colbert.hub import build_model_card, write_model_card


@pytest.fixture
def folder(tmp_path: Path, checkpoint_folder: Path) -> Path:
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "my-model"))


def write_json(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content))


def test_metadata_is_what_the_hub_reads(folder: Path) -> None:
    write_json(folder, "evaluation.json", evaluation_items())
    write_json(folder, "training_arguments.json", {"dataset": "msrvtt"})
    config = json.loads((folder / "config.json").read_text())
    write_json(folder, "config.json", {**config, "backbone": "openai/clip-vit-base-patch32"})
    write_model_card(folder, repo_id="tester/my-model", license="mit")
    data = ModelCard.load(folder / "README.md").data
    assert data.license == "mit"
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "feature-extraction"
    assert data.base_model == "openai/clip-vit-base-patch32"
    assert data.datasets == ["friedrichor/MSR-VTT"]
    assert data.tags == ["text-to-video-retrieval", "late-interaction", "custom_code"]
    assert data.model_name == "my-model"
    assert len(data.eval_results) == 2 * 5
    [headline] = [
        it
        for it in data.eval_results
        if it.metric_name == "R@1 (1000 of 1000 videos)" and it.task_type == "text-to-video-retrieval"
    ]
    assert headline.metric_value == 42.5
    assert (headline.dataset_type, headline.dataset_config, headline.dataset_split) == (
        "friedrichor/MSR-VTT",
        "1k-A",
        "test",
    )


def test_every_figure_stands_beside_its_protocol_and_gallery(folder: Path) -> None:
    items = evaluation_items(num_videos=988, num_queries=988, truncated_queries=3)
    write_json(folder, "evaluation.json", items)
    text = build_model_card(folder).text
    assert "### MSR-VTT, protocol 1k-A, test split" in text
    assert "Gallery: 988 of 1000 videos, 988 queries, 3 of them cut to the text tower's length." in text
    assert "Checkpoint chosen: best R@1 on 500 held-out training videos." in text
    assert "**12 videos of the split are missing" in text
    rows = [line for line in text.splitlines() if line.startswith(("| text to video", "| video to text"))]
    assert len(rows) == 6
    assert all("| 988 of 1000 videos |" in row for row in rows)
    assert rows[0] == "| text to video | all levels | 988 of 1000 videos | 42.50 | 70.25 | 80.00 | 2.00 | 12.50 |"


def test_hub_entries_hold_complete_galleries_of_data_sets_on_the_hub(folder: Path) -> None:
    items = [
        *evaluation_items(),
        *evaluation_items(dataset="activitynet", protocol="val1", num_videos=4900, num_expected_videos=4917),
        *evaluation_items(dataset="moving_shapes", protocol=None),
    ]
    write_json(folder, "evaluation.json", items)
    write_model_card(folder)
    [file] = (folder / ".eval_results").iterdir()
    entries = yaml.safe_load(file.read_text())
    assert [entry["dataset"] for entry in entries] == [
        {"id": "friedrichor/MSR-VTT", "task_id": "1k-A_test_text_to_video"},
        {"id": "friedrichor/MSR-VTT", "task_id": "1k-A_test_video_to_text"},
    ]
    assert [entry["value"] for entry in entries] == [42.5, 42.5]
    assert entries[0]["notes"].startswith("protocol 1k-A; split test; 1000 of 1000 videos; 1000 queries; R@1 42.5, ")
    text = (folder / "README.md").read_text()
    assert "ActivityNet Captions, protocol val1, test split" in text
    assert "moving_shapes, test split" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"split": "held out of train", "num_videos": 500, "num_expected_videos": 500},
        {"split": "validation"},
        {"split": "train"},
        {"protocol": None},
        {"protocol": "my own"},
        {"num_videos": 20, "num_expected_videos": 20},
        {"dataset": "someone/msrvtt"},
    ],
    ids=str,
)
def test_only_whole_test_splits_of_a_protocol_are_hub_entries(folder: Path, fields: dict[str, object]) -> None:
    write_json(folder, "evaluation.json", evaluation_items(**fields))
    write_model_card(folder)
    assert not (folder / ".eval_results").exists()


def test_figures_on_videos_that_a_checkpoint_was_chosen_on_are_in_the_text_alone(folder: Path) -> None:
    write_json(folder, "evaluation.json", evaluation_items(split="held out of train"))
    card = build_model_card(folder)
    assert card.data.eval_results is None
    assert "### MSR-VTT, protocol 1k-A, held out of train split" in card.text


def test_card_without_evaluation_or_training_says_so(folder: Path) -> None:
    text = build_model_card(folder).text
    assert "No evaluation is recorded" in text
    assert "No training arguments are recorded" in text
    assert "Hardware and time are not recorded." in text
    assert "6 frames of a video are looked at" in text
    assert "A query is cut at 16 tokens" in text


@pytest.mark.parametrize(
    ("fields", "sentences"),
    [
        ({}, ["Every token of the query is compared", "the mean of the maxima is the score"]),
        ({"interaction": "max_sim"}, ["the sum of the maxima is the score"]),
        ({"interaction": "weighted_token_wise"}, ["the maxima of both sides, weighted by what was learned"]),
        (
            {"query_representation": "pooled", "video_representation": "mean"},
            ["The one text vector of the query is compared", "one vector, the mean of frame tokens"],
        ),
        ({"query_representation": "pooled"}, ["Not trained further"]),
    ],
    ids=str,
)
def test_card_says_how_the_model_scores(folder: Path, fields: dict[str, str], sentences: list[str]) -> None:
    config = json.loads((folder / "config.json").read_text())
    write_json(folder, "config.json", config | fields)
    text = build_model_card(folder).text
    assert [sentence for sentence in sentences if sentence not in text] == []


def test_training_arguments_are_shown(folder: Path) -> None:
    arguments = {"seed": 7, "config_overrides": {"temporal_num_layers": 2}, "freeze": [], "note": "a|b"}
    write_json(folder, "training_arguments.json", arguments)
    text = build_model_card(folder).text
    assert "| `seed` | `7` |" in text
    assert "| `config_overrides.temporal_num_layers` | `2` |" in text
    assert "`freeze`" not in text
    assert r"| `note` | `a\|b` |" in text


@pytest.mark.parametrize(
    ("backbone", "license_id", "language"),
    [
        ("openai/clip-vit-base-patch32", "mit", ["en"]),
        ("google/siglip-base-patch16-256-multilingual", "apache-2.0", ["multilingual"]),
        ("google/siglip-so400m-patch14-384", "apache-2.0", ["en"]),
        ("google/siglip2-base-patch16-224", "apache-2.0", ["multilingual"]),
        ("facebook/metaclip-2-worldwide-huge-quickgelu", "cc-by-nc-4.0", ["multilingual"]),
    ],
)
def test_licence_and_language_are_those_of_the_backbone(
    folder: Path, backbone: str, license_id: str, language: list[str]
) -> None:
    config = json.loads((folder / "config.json").read_text())
    write_json(folder, "config.json", {**config, "backbone": backbone})
    card = build_model_card(folder)
    assert (card.data.license, card.data.language) == (license_id, language)
    assert f"published under `{license_id}`. That is the licence of the backbone" in card.text
    assert f"Its backbone, {backbone}, was trained on" in card.text
    other = build_model_card(folder, license="cc-by-4.0")
    assert other.data.license == "cc-by-4.0"
    assert "licence of the backbone" not in other.text


def test_a_licence_or_language_that_nobody_knows_is_not_made_up(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for backbone in (None, "someone/clip"):
        write_json(folder, "config.json", {**config, "backbone": backbone})
        card = build_model_card(folder)
        assert "license" not in card.data.to_dict()
        assert "language" not in card.data.to_dict()
        assert "The licence of these weights is not stated" in card.text


def test_card_says_what_it_is_for_what_it_was_trained_on_and_how_to_cite(folder: Path) -> None:
    write_json(folder, "training_arguments.json", {"dataset": "msrvtt"})
    run = {
        "steps": 300,
        "hours": 1.25,
        "processes": 8,
        "device": "NVIDIA H100",
        "mixed_precision": "bf16",
        "libraries": {"torch": "2.13.0"},
    }
    write_json(folder, "training_run.json", run)
    text = build_model_card(folder).text
    assert "## Intended use and out of scope" in text
    assert "trained on the training split of MSR-VTT." in text
    assert (
        "The run, as it measured itself: 300 steps; 1.2 hours, validation not included; hardware: 8 x NVIDIA H100; "
        "mixed precision: bf16; torch 2.13.0." in text
    )
    assert "@inproceedings{reddy2025videocolbert," in text
    assert "pip install video-colbert" in text


def test_own_card_is_written_anew_and_a_persons_card_keeps_its_text(folder: Path) -> None:
    write_model_card(folder)
    first = (folder / "README.md").read_text()
    write_json(folder, "evaluation.json", evaluation_items())
    write_model_card(folder)
    assert "1000 of 1000 videos" in (folder / "README.md").read_text() != first

    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# My model\n\nBy hand.\n")
    write_model_card(folder)
    card = ModelCard.load(folder / "README.md")
    assert card.text.strip() == "# My model\n\nBy hand."
    assert card.data.license == "cc-by-4.0"
    assert card.data.pipeline_tag == "feature-extraction"
    assert len(card.data.eval_results) == 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "must hold a list of evaluation results, not a dict"),
        ([{"dataset": "msrvtt"}], "item 0 of .* lacks split, num_videos"),
        (evaluation_items(level="clip"), "level in item 0 of .* must be one of sum, frame, video, .*, not 'clip'"),
        (evaluation_items(num_videos=-1), "num_videos in item 0 of .* must be a whole number from 0, not -1"),
        (evaluation_items(num_videos=2000), "num_videos in item 0 of .* is 2000, more than num_expected_videos"),
        (evaluation_items(metrics={"R@5": 1.0}), "metrics in item 0 of .* R@1 among them"),
        (evaluation_items() * 2, "two results for msrvtt / 1k-A / test / frame / text_to_video"),
    ],
)
def test_malformed_evaluation_is_named(folder: Path, content: object, message: str) -> None:
    write_json(folder, "evaluation.json", content)
    with pytest.raises(CheckpointError, match=message):
        build_model_card(folder)
