from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from benchmarks import size_training
from tests.tiny_models import QUERY_LENGTH, tiny_model

REPRODUCE = Path(__file__).parents[1] / "docs" / "reproduce.md"


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    # Whatever a test before it left: the first accelerator of a process decides for all.
    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(cpu=True, mixed_precision="bf16")
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("cell", size_training.CELLS)
def test_the_reproduction_page_multiplies_out_the_recipes(cell: str) -> None:
    page = REPRODUCE.read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| {cell} |"))
    columns = row.split(" | ")
    arguments = size_training.arguments_of(cell)
    arguments.per_device_train_batch_size = int(columns[2])
    assert f"`reproduce {cell.replace('-', ' ')} {columns[2]}`" in page
    if columns[3] == "not run here":
        assert columns[1] == f"{size_training.num_pairs(arguments):,} x {arguments.num_train_epochs}"
    else:
        size = size_training.StepSize(float(columns[3].removesuffix(" s")), round(1e9 * float(columns[5][:-3])))
        assert row.startswith(f"| {cell} | {size_training.row_of(arguments, size)} | ")


def test_a_measured_step_is_that_of_the_whole_batch(accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    step = size_training.contrastive_step

    def counting(accelerator: Accelerator, model: object, batches: list[dict[str, object]], normalize: object) -> None:
        taken.append([len(batch["video_keys"]) for batch in batches])
        losses = step(accelerator, model, batches, normalize)
        assert losses.loss.isfinite()

    monkeypatch.setattr(size_training, "contrastive_step", counting)
    monkeypatch.setattr(size_training, "GLOBAL_BATCH", 8)
    arguments = size_training.arguments_of("msrvtt-clip_b32")
    config = tiny_model().config
    shape = size_training.Shape("clip_b32", num_frames=3, query_length=QUERY_LENGTH, micro_batch=2)
    size = size_training.measure(accelerator, shape, config, arguments, steps=1)
    assert taken == [[2, 2, 2, 2]] * 3
    assert size.seconds > 0
