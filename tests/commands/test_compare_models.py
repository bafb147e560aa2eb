"""`video-colbert compare-models`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.index import open_index
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

QUERIES = ["a red circle", "a dog runs", "blue", "a man rides a bicycle"]


@pytest.fixture(scope="module")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory, checkpoint_folder: Path) -> Path:
    """The same model with other projections, which find other videos."""
    folder = tmp_path_factory.mktemp("other")
    model = VideoColBERTModel.from_pretrained(checkpoint_folder)
    torch.manual_seed(5)
    with torch.no_grad():
        model.query_head.weight.normal_()
    model.save_pretrained(folder)
    VideoColBERTProcessor.from_pretrained(checkpoint_folder).save_pretrained(folder)
    return folder


@pytest.fixture
def index(tmp_path: Path, checkpoint_folder: Path, run_command: RunCommand) -> Path:
    for seed in range(5):
        write_clip(tmp_path / "videos" / f"{seed}.mp4", seed, frames=6)
    (tmp_path / "queries.txt").write_text("\n".join(QUERIES) + "\n\n")
    folder = tmp_path / "index"
    code, _, err = run_command("index", tmp_path / "videos", "--model", checkpoint_folder, "--index", folder)
    assert code == 0, err
    return folder


def test_changes_are_those_of_two_searches_and_the_other_index_is_kept(
    tmp_path: Path, checkpoint_folder: Path, other_checkpoint: Path, index: Path, run_command: RunCommand
) -> None:
    options = (
        "--index",
        index,
        "--queries",
        tmp_path / "queries.txt",
        "--top-k",
        "2",
        "--other-index",
        tmp_path / "b",
    )
    code, out, err = run_command("compare-models", checkpoint_folder, other_checkpoint, *options, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert len(found["queries"]) == len(QUERIES)
    from video_colbert import VideoColBERTEncoder

    first = []
    for place, checkpoint in ((index, checkpoint_folder), (tmp_path / "b", other_checkpoint)):
        encoder = VideoColBERTEncoder.from_pretrained(checkpoint, device="cpu")
        hits = open_index(place, encoder).search(QUERIES, top_k=2)
        first.append({query: [hit.video for hit in of_query] for query, of_query in zip(QUERIES, hits, strict=True)})
    changed = [query for query in QUERIES if first[0][query][0] != first[1][query][0]]
    assert found["changed_first"] == len(changed) / len(QUERIES)
    assert {each["query"] for each in found["queries"][: len(changed)]} == set(changed)
    for each in found["queries"]:
        one, other = first[0][each["query"]], first[1][each["query"]]
        assert each["first"] == [one[0], other[0]]
        assert each["overlap"] == len(set(one) & set(other)) / 2

    # The other way round the same changes, and nothing is encoded again.
    code, out, err = run_command("compare-models", other_checkpoint, checkpoint_folder, *options)
    assert code == 0
    assert f"another first video: {len(changed) / len(QUERIES):.1%} of queries" in out
    assert "0 added, 5 already there" in err


def test_a_model_compared_with_itself_changes_nothing(
    tmp_path: Path, checkpoint_folder: Path, index: Path, run_command: RunCommand
) -> None:
    options = ("--index", index, "--queries", tmp_path / "queries.txt", "--output", tmp_path / "drift.json")
    code, out, _ = run_command("compare-models", checkpoint_folder, checkpoint_folder, *options)
    assert code == 0
    assert "another first video: 0.0% of queries" in out
    assert "changed most" not in out
    assert json.loads((tmp_path / "drift.json").read_text())["overlap"] == 1.0


def test_videos_that_are_gone_are_left_out_and_told(
    tmp_path: Path, checkpoint_folder: Path, other_checkpoint: Path, index: Path, run_command: RunCommand
) -> None:
    gone = tmp_path / "videos" / "3.mp4"
    gone.unlink()
    options = ("--index", index, "--queries", tmp_path / "queries.txt", "--json", "--other-index", tmp_path / "c")
    code, out, err = run_command("compare-models", checkpoint_folder, other_checkpoint, *options)
    assert code == 3
    found = json.loads(out)
    assert found["videos_left_out"] == [str(gone)]
    assert all(each["overlap"] == 1.0 for each in found["queries"])
    assert "1 videos are in one of the indexes only" in err


def test_mistakes_are_one_sentence(
    tmp_path: Path, checkpoint_folder: Path, other_checkpoint: Path, index: Path, run_command: RunCommand
) -> None:
    options = ("--index", index, "--queries", tmp_path / "queries.txt")
    code, _, err = run_command("compare-models", other_checkpoint, other_checkpoint, *options)
    assert code == 1
    assert "which is neither" in err.splitlines()[-1]
    (tmp_path / "queries.txt").write_text("\n")
    code, _, err = run_command("compare-models", checkpoint_folder, other_checkpoint, *options)
    assert code == 1
    assert "queries.txt holds no query; write one a line" in err.splitlines()[-1]
