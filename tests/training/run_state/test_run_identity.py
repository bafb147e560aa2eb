"""That whatever decides a run's results is part of what it is, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.training.arguments import JSONObject, TrainingArguments
from video_colbert.training.run_state.run_identity import identity_differences, run_identity
from video_colbert.training.training_data import TrainingData

SIZES = {"examples": 2, "batch": 2, "steps": 5, "processes": 1}
Rows = list[dict[str, Any]]


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    files = [tmp_path / f"{number}.mp4" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 3_000_000)
    return [
        {"video_id": file.stem, "video": {"path": str(file), "bytes": None}, "captions": ["a", "b"]}
        | {"start": None, "end": None}
        for file in files
    ]


def identity(rows: Rows, model: str = "0" * 40, sizes: dict[str, int] = SIZES, **arguments: Any) -> dict[str, Any]:
    data = TrainingData(rows[:2], rows[2:], "best", "held out")
    return run_identity(TrainingArguments(backbone="a/b", **arguments), data, ModelReference("a/b", model), **sizes)


def test_same_run_has_no_differences_whatever_does_not_decide_it(rows: Rows) -> None:
    other = identity(rows, output_dir="elsewhere", num_workers=7, logging_steps=3, checkpointing_steps=9)
    assert identity_differences(identity(rows), other) == []


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        ({"learning_rate": 1e-2}, "learning_rate was 0.0001 and is 0.01"),
        ({"num_frames": 6}, "num_frames was 12 and is 6"),
        ({"random_frames": False}, "random_frames was True and is False"),
        ({"seed": 3}, "seed was 0 and is 3"),
        (
            {"config_overrides": JSONObject({"query_length": 24})},
            "config_overrides was {} and is {'query_length': 24}",
        ),
        ({"freeze": ["text"]}, "freeze was [] and is ['text']"),
        ({"model": "1" * 40}, "the model that training starts from changed"),
        ({"sizes": {**SIZES, "processes": 2}}, "processes was 1 and is 2"),
        (
            {"frame_cache": "x", "frame_cache_frames_per_segment": 4},
            "cached_frames_per_segment was None and is 4",
        ),
    ],
)
def test_settings_and_model_that_changed_are_named(rows: Rows, arguments: dict[str, Any], difference: str) -> None:
    assert identity_differences(identity(rows), identity(rows, **arguments)) == [difference]


def test_sum_of_changes_is_named_in_one_list(rows: Rows) -> None:
    found = identity_differences(identity(rows), identity(rows, seed=1, weight_decay=0.0))
    assert found == ["seed was 0 and is 1", "weight_decay was 0.2 and is 0.0"]


def edit_captions(rows: Rows) -> None:
    rows[0]["captions"] = ["a", "c"]


def edit_window(rows: Rows) -> None:
    rows[1]["end"] = 2.5


def edit_validation(rows: Rows) -> None:
    rows[2]["captions"] = ["z"]


def swap_videos(rows: Rows) -> None:
    first, second = (Path(row["video"]["path"]) for row in rows[:2])
    first.rename(first.with_suffix(".tmp"))
    second.rename(first)
    first.with_suffix(".tmp").rename(second)


def edit_middle_of_a_video(rows: Rows) -> None:
    path = Path(rows[2]["video"]["path"])
    state = path.stat()
    with path.open("r+b") as file:
        file.seek(1_500_010)
        file.write(b"other")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def lose_a_video(rows: Rows) -> None:
    rows[0]["video"] = None


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (edit_captions, "the captions of the training videos changed"),
        (edit_window, "the captions of the training videos changed"),
        (edit_validation, "the captions of the validation videos changed"),
        (swap_videos, "the training videos changed"),
        (edit_middle_of_a_video, "the validation videos changed"),
        (lose_a_video, "the training videos changed"),
    ],
)
def test_data_that_changed_is_named(rows: Rows, edit: Callable[[Rows], None], difference: str) -> None:
    before = identity(rows)
    edit(rows)
    assert identity_differences(before, identity(rows)) == [difference]


def test_moved_data_is_the_same(rows: Rows, tmp_path: Path) -> None:
    before = identity(rows)
    (tmp_path / "moved").mkdir()
    for row in rows:
        path = Path(row["video"]["path"])
        row["video"] = {"path": str(path.rename(tmp_path / "moved" / path.name)), "bytes": None}
        os.utime(row["video"]["path"])
    assert identity_differences(before, identity(rows)) == []
