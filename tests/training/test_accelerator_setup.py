from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch.distributed as dist
from accelerate.state import AcceleratorState

from tests.training.process_groups import run_on_processes
from video_colbert.training import accelerator_setup
from video_colbert.training.accelerator_setup import build_accelerator
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.trainer.trainer_parts import WholeModel


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def places(output_dir: str) -> tuple[int, int, bool]:
    accelerator = build_accelerator(TrainingArguments(backbone="b", output_dir=output_dir))
    return accelerator.num_processes, accelerator.process_index, dist.get_rank() == accelerator.process_index


def test_launched_processes_work_together(tmp_path: Path) -> None:
    assert run_on_processes(tmp_path, 2, places, str(tmp_path)) == [(2, 0, True), (2, 1, True)]


def test_process_that_would_train_a_copy_of_the_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class AloneAccelerator:
        num_processes = 1

        def __init__(self, **kwargs: object) -> None: ...

    monkeypatch.setattr(accelerator_setup, "Accelerator", AloneAccelerator)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"started 2 processes, but Accelerate works with 1"):
        build_accelerator(TrainingArguments(backbone="b", output_dir=str(tmp_path)))


def test_tracker_that_is_not_installed_is_an_error_and_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelerate.tracking._available_trackers", [])
    with pytest.raises(ValueError, match="report_to names tensorboard, which is not installed"):
        build_accelerator(TrainingArguments(backbone="b", report_to=["tensorboard"]))


@pytest.mark.parametrize(
    ("variable", "name"), [("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")]
)
def test_configuration_that_shards_the_model_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, name: str
) -> None:
    # As `accelerate launch --use_fsdp` and `--use_deepspeed` set it.
    monkeypatch.setenv(variable, "true")
    message = rf"^Accelerate is configured for {name}, which shards the model.*use distributed_type MULTI_GPU"
    with pytest.raises(ValueError, match=message):
        build_accelerator(TrainingArguments(backbone="b", output_dir=str(tmp_path)))
    with pytest.raises(ValueError, match=message):
        WholeModel().on_init_end(SimpleNamespace(world_size=1), None, None)
    monkeypatch.setenv(variable, "false")
    assert build_accelerator(TrainingArguments(backbone="b", output_dir=str(tmp_path))).num_processes == 1
