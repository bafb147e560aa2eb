import json
from pathlib import Path
from typing import Any

import pytest

from tests.video_files import write_clip
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.training_data import load_training_data

NUM_CLIPS = 9

pytestmark = pytest.mark.usefixtures("quiet_datasets")


def write_folder(folder: Path, num_clips: int) -> Path:
    folder.mkdir()
    with (folder / "captions.jsonl").open("w") as file:
        for number in range(num_clips):
            write_clip(folder / f"{number}.mp4", seed=number, frames=2)
            file.write(json.dumps({"video": f"{number}.mp4", "caption": f"clip {number}"}) + "\n")
    return folder


def arguments(folder: Path, **values: Any) -> TrainingArguments:
    return TrainingArguments(backbone="b", **({"data_dir": str(folder), "hold_out": 3} | values))


def captions(rows: Any) -> set[str]:
    return {caption for row in rows for caption in row["captions"]}


def test_hold_out_is_seeded_and_is_not_trained_on(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", NUM_CLIPS)
    data = load_training_data(arguments(folder))
    train, validation = captions(data.train), captions(data.validation)
    assert len(validation) == 3
    assert train | validation == {f"clip {number}" for number in range(NUM_CLIPS)}
    assert not train & validation
    assert data.selection == "best R@1 on 3 videos held out of the train split (seed 0)"
    assert captions(load_training_data(arguments(folder)).validation) == validation
    others = [captions(load_training_data(arguments(folder, seed=seed)).validation) for seed in (1, 2, 3)]
    assert any(other != validation for other in others)


def test_validation_folder_is_what_the_best_checkpoint_is_chosen_on(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", NUM_CLIPS)
    other = write_folder(tmp_path / "other", 2)
    data = load_training_data(arguments(folder, validation_data_dir=str(other)))
    assert (len(data.train), len(data.validation)) == (NUM_CLIPS, 2)
    assert data.selection == "best R@1 on the validation split"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"validation_split": "test"}, "no honest test result"),
        ({"hold_out": NUM_CLIPS}, f"hold_out is {NUM_CLIPS}, but there are {NUM_CLIPS} training videos"),
        ({"dataset": "msrvtt", "data_dir": None}, "'msrvtt' needs data_dir"),
        ({"dataset": "no_such_set"}, "there is no data set 'no_such_set'; there are msrvtt, .* OWNER/NAME"),
        ({"streaming": True, "max_train_steps": 1}, "streaming takes a data set that holds its videos"),
        (
            {"streaming": True, "max_train_steps": 1, "dataset": "me/set"},
            "streaming takes a data set that holds its videos, without data_dir",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    folder = write_folder(tmp_path / "clips", NUM_CLIPS)
    with pytest.raises(ValueError, match=message):
        load_training_data(arguments(folder, **values))
