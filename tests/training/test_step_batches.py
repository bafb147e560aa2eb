import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from tests.video_files import write_clip
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.epoch_batches import EpochBatches
from video_colbert.training.step_batches import StepBatches
from video_colbert.training.video_text_dataset import VideoTextDataset

NUM_CLIPS = 9


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def processor(clip_backbone_folder: Path) -> VideoColBERTProcessor:
    return VideoColBERTProcessor.from_backbone(clip_backbone_folder, query_length=16, num_frames=3)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        {
            "video_id": f"v{number}",
            "video": {"path": str(write_clip(folder / f"{number}.mp4", seed=number)), "bytes": None},
            "captions": [f"clip {number}"],
            "start": None,
            "end": None,
        }
        for number in range(NUM_CLIPS)
    ]


def step_batches(rows: list[dict[str, Any]], processor: VideoColBERTProcessor, num_workers: int = 0) -> StepBatches:
    dataset = VideoTextDataset(rows, processor, random_frames=False)
    batches = EpochBatches(len(rows), 2, micro_batches_per_step=2)
    arguments = TrainingArguments(backbone="b", num_workers=num_workers)
    return StepBatches(Accelerator(cpu=True), dataset, batches, processor, arguments)


def test_steps_hold_their_micro_batches_as_the_processor_makes_them(
    rows: list[dict[str, Any]], processor: VideoColBERTProcessor
) -> None:
    loaded = step_batches(rows, processor)
    steps = list(loaded.epoch(0))
    assert [[len(batch["video_ids"]) for batch in step] for step in steps] == [[2, 2], [2, 2]]
    by_id = {row["video_id"]: row for row in rows}
    for batch in (batch for step in steps for batch in step):
        chosen = [by_id[video_id] for video_id in batch["video_ids"]]
        expected = processor(
            text=[row["captions"][0] for row in chosen], videos=[row["video"]["path"] for row in chosen]
        )
        assert batch["pixel_values_videos"].dtype == torch.uint8
        pixels = processor.video_processor.normalize(batch["pixel_values_videos"])
        for name, value in expected.items():
            torch.testing.assert_close({**batch, "pixel_values_videos": pixels}[name], value, msg=name)
    assert loaded.seconds_waited > 0


def test_epoch_from_a_step_on_is_the_rest_of_it_and_draws_no_random_number(
    rows: list[dict[str, Any]], processor: VideoColBERTProcessor
) -> None:
    ids = [[batch["video_ids"] for batch in step] for step in step_batches(rows, processor).epoch(3)]
    before = torch.get_rng_state()
    rest = [[batch["video_ids"] for batch in step] for step in step_batches(rows, processor, 1).epoch(3, 1)]
    assert rest == ids[1:]
    assert torch.equal(before, torch.get_rng_state())


def test_worker_is_out_of_reach_of_signals_to_the_group_and_ends_when_told(
    rows: list[dict[str, Any]], processor: VideoColBERTProcessor
) -> None:
    others = set(multiprocessing.active_children())
    steps = iter(step_batches(rows, processor, num_workers=1).epoch(0))
    next(steps)
    [worker] = set(multiprocessing.active_children()) - others
    assert os.getpgid(worker.pid) == worker.pid != os.getpgid(0)
    worker.terminate()
    deadline = time.monotonic() + 30
    # Asked again: the loader's thread asks too, and of two who ask at once, one hears "alive" of a process that ended.
    while worker.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.is_alive()


def test_step_whose_videos_are_too_bad_to_go_on_has_no_inputs(
    rows: list[dict[str, Any]], processor: VideoColBERTProcessor, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    bad = [{**row, "video": {"path": str(tmp_path / "bad.mp4"), "bytes": None}} for row in rows]
    [first, *_] = step_batches(bad, processor).epoch(0)
    assert [batch["video_ids"] for batch in first] == [[], []]
    assert {video_id for batch in first for video_id, _ in batch["bad_videos"]} == {row["video_id"] for row in rows}


def test_wait_for_data_is_measured(rows: list[dict[str, Any]], processor: VideoColBERTProcessor) -> None:
    loaded = step_batches(rows, processor)
    waited = []
    start = time.perf_counter()
    for _ in loaded.epoch(0):
        waited.append(loaded.seconds_waited)
        time.sleep(0.2)
    # The step's own time is not in it.
    assert sum(waited) <= time.perf_counter() - start - 0.4
