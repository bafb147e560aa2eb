import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from video_colbert.training.outputs import TrainingWriteError
from video_colbert.training.run_state.checkpoints import (
    ResumeError,
    StopSignals,
    TrainingState,
    checkpoints,
    find_checkpoint,
    resume,
    save_checkpoint,
)

IDENTITY = {"seed": 0, "batch": 8}


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def state_at(step: int, **identity: int) -> TrainingState:
    return TrainingState({**IDENTITY, **identity}, global_step=step, bad_videos={"v1": "cut off"})


def accelerator_of(model: nn.Module) -> Accelerator:
    accelerator = Accelerator(cpu=True)
    accelerator.prepare(model)
    return accelerator


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    accelerator = accelerator_of(nn.Linear(2, 2))
    for step in (1, 2, 10):
        folder = save_checkpoint(accelerator, tmp_path, state_at(step), limit=2)
        assert folder.is_dir()
    assert [path.name for path in checkpoints(tmp_path)] == ["step_00000002", "step_00000010"]


def test_checkpoint_that_was_not_finished_is_not_found_and_is_written_over(tmp_path: Path) -> None:
    accelerator = accelerator_of(nn.Linear(2, 2))
    done = save_checkpoint(accelerator, tmp_path, state_at(1), limit=None)
    unfinished = tmp_path / "checkpoints" / "step_00000002.unfinished"
    unfinished.mkdir()
    (unfinished / "left_over").touch()
    assert find_checkpoint(tmp_path, "latest") == done
    folder = save_checkpoint(accelerator, tmp_path, state_at(2), limit=None)
    assert not (folder / "left_over").exists()
    assert find_checkpoint(tmp_path, "latest") == folder


def test_state_weights_and_random_numbers_come_back(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    accelerator = accelerator_of(model)
    saved = state_at(3)
    folder = save_checkpoint(accelerator, tmp_path, saved, limit=None)
    weight, random = model.weight.clone(), torch.rand(3)
    nn.init.zeros_(model.weight)
    state = TrainingState(IDENTITY)
    assert resume(accelerator, tmp_path, "latest", state) == folder
    assert state == saved
    assert torch.equal(model.weight, weight)
    assert torch.equal(torch.rand(3), random)


def test_latest_of_a_run_without_checkpoints_begins_it(tmp_path: Path) -> None:
    state = TrainingState(IDENTITY)
    assert resume(accelerator_of(nn.Linear(2, 2)), tmp_path, "latest", state) is None
    assert state.global_step == 0


def test_checkpoint_of_other_data_or_batches_is_refused_before_weights_are_touched(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    accelerator = accelerator_of(model)
    save_checkpoint(accelerator, tmp_path, state_at(3), limit=None)
    nn.init.zeros_(model.weight)
    with pytest.raises(ResumeError, match=r"step_00000003 is of another run: batch was 8 and is 16\."):
        resume(accelerator, tmp_path, "latest", state_at(0, batch=16))
    assert not model.weight.any()


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    save_checkpoint(accelerator_of(nn.Linear(2, 2)), tmp_path, state_at(3), limit=None)
    AcceleratorState._reset_state(reset_partial_state=True)
    with pytest.raises(ResumeError, match="does not fit this run's model or optimizer"):
        resume(accelerator_of(nn.Linear(3, 2)), tmp_path, "latest", state_at(0))


def test_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    accelerator = accelerator_of(nn.Linear(2, 2))
    with pytest.raises(ResumeError, match="no_such, which is not a folder"):
        resume(accelerator, tmp_path, "no_such", state_at(0))
    with pytest.raises(ResumeError, match=r"is no checkpoint of a run: it has no training_state\.json"):
        resume(accelerator, tmp_path, str(tmp_path), state_at(0))


def test_state_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    state_at(7).save(tmp_path)
    assert json.loads((tmp_path / "training_state.json").read_text())["global_step"] == 7


def test_first_signal_asks_to_stop_and_a_second_interrupt_does_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        assert stop.received == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_checkpoint_that_cannot_be_written_is_one_sentence_and_none(tmp_path: Path) -> None:
    small, large = accelerator_of(nn.Linear(2, 2)), nn.Linear(200, 200)
    kept = save_checkpoint(small, tmp_path, state_at(1), limit=1)
    AcceleratorState._reset_state(reset_partial_state=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    accelerator = accelerator_of(large)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TrainingWriteError, match=r"step_00000002 cannot be written \(.*\); what was"):
            save_checkpoint(accelerator, tmp_path, state_at(2), limit=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoints(tmp_path) == [kept]
    assert [save_checkpoint(accelerator, tmp_path, state_at(2), limit=1)] == checkpoints(tmp_path)


def test_change_that_is_allowed_is_logged_and_gone_on_with(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    accelerator = accelerator_of(nn.Linear(2, 2))
    folder = save_checkpoint(accelerator, tmp_path, state_at(3), limit=None)
    state = state_at(0, batch=16)
    assert resume(accelerator, tmp_path, "latest", state, allow_changes=True) == folder
    assert "Going on with another run than before: batch was 8 and is 16." in caplog.text
    assert state.global_step == 3
    assert state.run_identity["batch"] == 16
