"""That a checkpoint's files are used only as they were written, and none of them can run code."""

import os
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from video_colbert.training.run_state.checkpoints import TrainingState, resume, save_checkpoint
from video_colbert.training.run_state.state_files import ResumeError, check_state_files, state_file_digests

IDENTITY = {"seed": 0}


class Code:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


class Counter:
    """Something that Accelerate keeps as `custom_checkpoint_0.pkl`."""

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": 3, "base_lrs": [1e-3]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loaded = state


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    model = nn.Linear(4, 4)
    accelerator = Accelerator(cpu=True)
    accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
    accelerator.register_for_checkpointing(Counter())
    yield accelerator
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def checkpoint(accelerator: Accelerator, tmp_path: Path) -> Path:
    return save_checkpoint(accelerator, tmp_path, TrainingState(IDENTITY, global_step=3), limit=None)


FILES = ("model.safetensors", "optimizer.bin", "custom_checkpoint_0.pkl", "random_states_0.pkl", "training_state.json")


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(
    accelerator: Accelerator, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    whole = (checkpoint / name).read_bytes()
    generator = random.Random(0)
    for _ in range(20):
        content = bytearray(whole)
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        (checkpoint / name).write_bytes(content)
        with pytest.raises(ResumeError, match=f"{name} is damaged|{name} was not written by this run"):
            resume(accelerator, tmp_path, "latest", TrainingState(IDENTITY))
    (checkpoint / name).write_bytes(whole)
    assert resume(accelerator, tmp_path, "latest", TrainingState(IDENTITY)) == checkpoint


@pytest.mark.parametrize("name", FILES)
def test_lost_file_is_named(accelerator: Accelerator, checkpoint: Path, tmp_path: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(ResumeError, match=f"lacks {name}; use another|no checkpoint of a run: it has no {name}"):
        resume(accelerator, tmp_path, "latest", TrainingState(IDENTITY), allow_changes=True)


@pytest.mark.parametrize("name", ["custom_checkpoint_0.pkl", "random_states_0.pkl", "optimizer.bin"])
def test_pickle_with_code_is_not_run_even_where_the_digests_were_forged(
    accelerator: Accelerator, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    ran = tmp_path / "ran"
    torch.save({"state": Code(ran)}, checkpoint / name, pickle_module=pickle)
    TrainingState(IDENTITY, global_step=3).save(checkpoint)
    with pytest.raises(ResumeError):
        resume(accelerator, tmp_path, "latest", TrainingState(IDENTITY))
    assert not ran.exists()


@pytest.mark.parametrize("name", ["custom_checkpoint_1.pkl", "pytorch_model.bin", "sampler.pt", "x.safetensors"])
def test_file_that_no_run_writes_is_refused(
    accelerator: Accelerator, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    ran = tmp_path / "ran"
    torch.save(Code(ran), checkpoint / name, pickle_module=pickle)
    with pytest.raises(ResumeError, match=f"{name} was not written by this run, so it is not loaded"):
        resume(accelerator, tmp_path, "latest", TrainingState(IDENTITY))
    # Nor where a forged state names it.
    digests = state_file_digests(checkpoint)
    assert name not in digests
    with pytest.raises(ResumeError, match="was not written by this run"):
        check_state_files(checkpoint, {**digests, name: "0"})
    assert not ran.exists()


def test_other_files_beside_are_left_alone(accelerator: Accelerator, checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "notes.txt").write_text("mine")
    assert resume(accelerator, tmp_path, "latest", TrainingState(IDENTITY)) == checkpoint
