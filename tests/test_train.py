"""Whole runs of train.py, over a few tiny clips."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from safetensors.torch import load_file

from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip
from tests.warm_python import warm_python
from video_colbert.hub import read_evaluation_results, verify_checkpoint
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training import contrastive_step as contrastive_step_module
from video_colbert.training import training_run
from video_colbert.training.arguments import parse_arguments
from video_colbert.training.contrastive_step import StepLoss
from video_colbert.training.monitoring import TrainingStoppedError
from video_colbert.training.run_state.checkpoints import ResumeError, checkpoints
from video_colbert.training.training_run import run_command_line, train

REPOSITORY = Path(__file__).parents[1]
NUM_CLIPS = 48
TIMEOUT_SECONDS = 120

Arguments = Callable[..., list[str]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(cache))
    # Sums come out bit for bit as in the processes below only with as many threads.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    with (folder / "captions.jsonl").open("w") as file:
        for number in range(NUM_CLIPS):
            write_clip(folder / f"{number:02d}.mp4", seed=number, frames=6)
            for verb in ("shows", "plays"):
                file.write(json.dumps({"video": f"{number:02d}.mp4", "caption": f"clip {number} {verb}"}) + "\n")
    return folder


@pytest.fixture
def arguments(clips: Path, clip_backbone_folder: Path, tmp_path: Path) -> Arguments:
    """The command line of a run of 2 epochs of 4 steps, with `overrides` over it."""
    config = {"query_length": 16, "max_frames": 4, "temporal_num_layers": 1, "temporal_num_heads": 4}

    def build(**overrides: object) -> list[str]:
        values = {
            "backbone": clip_backbone_folder,
            "config_overrides": json.dumps(config),
            "data_dir": clips,
            "hold_out": 16,
            "output_dir": tmp_path / "run",
            "num_frames": 3,
            "num_workers": 0,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
            "learning_rate": 1e-3,
            "backbone_learning_rate": 1e-3,
            "logging_steps": 1,
        }
        return [f"--{name}={value}" for name, value in (values | overrides).items()]

    return build


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "GLOO_SOCKET_IFNAME": "lo"}


def start(command_line: list[str], launcher: tuple[str, ...] = (), own_python: bool = False) -> subprocess.Popen[str]:
    # One that is asked for its children, or whose group gets a signal.
    python = sys.executable if launcher or own_python else warm_python()
    command = [python, *launcher, str(REPOSITORY / "train.py"), *command_line]
    return subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_here(command_line: list[str]) -> int:
    return train(parse_arguments(command_line))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_run(run: Path, expected: Path) -> None:
    for name in ("last", "best"):
        actual_weights, expected_weights = weights(run / name), weights(expected / name)
        assert actual_weights.keys() == expected_weights.keys()
        assert all(torch.equal(actual_weights[key], expected_weights[key]) for key in expected_weights)
        for file in ("config.json", "evaluation.json"):
            assert (run / name / file).read_text() == (expected / name / file).read_text()
    losses = [[(line["step"], line.get("loss")) for line in log_of(folder)] for folder in (run, expected)]
    assert losses[0] == losses[1]


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_run_leaves_models_that_load_with_results_self_test_and_card(
    arguments: Arguments, clip_backbone_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert run_here(arguments(checkpoints_total_limit=1)) == 0
    run = tmp_path / "run"
    said = caplog.text
    assert "Step 1 of 8, epoch 0: loss " in said
    assert f"is in {run / 'best'}. Search with it: video-colbert index VIDEOS --model {run / 'best'} " in said
    assert "Train the model" not in said
    # Held-out training videos are no benchmark.
    assert not (run / "best" / ".eval_results").exists()
    for name in ("best", "last"):
        model = VideoColBERTModel.from_pretrained(run / name)
        assert model.config.logit_bias_calibration is not None
        assert VideoColBERTProcessor.from_pretrained(run / name).query_length == 16
        assert verify_checkpoint(run / name).passed
        assert json.loads((run / name / "training_arguments.json").read_text())["num_frames"] == 3
        results = read_evaluation_results(run / name)
        assert {result.level for result in results} == {"frame", "video", "sum"}
        assert {(result.num_videos, result.num_queries) for result in results} == {(16, 32)}
        assert results[0].selection == "best R@1 on 16 videos held out of the train split (seed 0)"
    assert "held out" in (run / "best" / "README.md").read_text()
    assert not list(run.glob("*.unfinished")) + list(run.glob("*.old"))
    assert [path.name for path in checkpoints(run)] == ["step_00000008"]
    steps = [line for line in log_of(run) if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, 9))
    logged = {"loss_frame", "loss_video", "temperature_0", "temperature_1", "bias_0", "bias_1", "gradient_norm"}
    assert logged | {"samples_per_second", "data_wait_share"} <= steps[0].keys()
    # Both towers were trained.
    backbone = load_file(clip_backbone_folder / "model.safetensors")
    trained = weights(run / "last")
    for name in ("text_model.final_layer_norm.weight", "vision_model.post_layernorm.weight"):
        assert not torch.equal(trained[name], backbone[name])


def test_run_fits_what_levels_count_to_the_videos_that_it_holds_out(arguments: Arguments, tmp_path: Path) -> None:
    assert run_here(arguments(fit_level_weights=True, num_train_epochs=1)) == 0
    best = tmp_path / "run" / "best"
    fitted = VideoColBERTModel.from_pretrained(best).config.level_weights
    assert set(fitted) == {"frame", "video"}
    assert sum(fitted.values()) == pytest.approx(2)
    assert {json.dumps(result.level_weights) for result in read_evaluation_results(best)} == {json.dumps(fitted)}
    assert verify_checkpoint(best).passed


class RecordingTracker(GeneralTracker):
    """Keeps what a run tells its trackers."""

    name = "recording"
    requires_logging_directory = False
    runs: ClassVar[list["RecordingTracker"]] = []

    def __init__(self, run_name: str, **_: Any) -> None:
        super().__init__()
        self.config: dict[str, Any] = {}
        self.logged: dict[int, dict[str, Any]] = {}
        self.runs.append(self)

    @property
    def tracker(self) -> "RecordingTracker":
        return self

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.config = values

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self.logged.setdefault(step or 0, {}).update(values)


def test_trackers_are_told_what_the_log_holds(
    arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "recording", RecordingTracker)
    monkeypatch.setattr(RecordingTracker, "runs", [])
    assert run_here(arguments(max_train_steps=2, report_to="recording")) == 0
    [tracker] = RecordingTracker.runs
    assert tracker.config["learning_rate"] == 1e-3
    expected: dict[int, dict[str, Any]] = {}
    for line in log_of(tmp_path / "run"):
        expected.setdefault(line.pop("step"), {}).update(line)
    assert tracker.logged == expected
    assert {"loss_frame", "temperature_0", "gradient_norm", "data_wait_share"} <= expected[1].keys()
    assert "validation/sum/text_to_video/R@1" in expected[2]


def test_run_killed_in_mid_epoch_and_resumed_ends_with_the_weights_of_one_that_was_not(
    arguments: Arguments, tmp_path: Path
) -> None:
    assert run_here(arguments(output_dir=tmp_path / "whole")) == 0
    killed = tmp_path / "killed"
    process = start(arguments(output_dir=killed, checkpointing_steps=1, num_workers=1))
    wait_until(lambda: (killed / "checkpoints" / "step_00000002").is_dir(), process)
    process.kill()
    process.communicate()
    [*_, latest] = checkpoints(killed)
    state = json.loads((latest / "training_state.json").read_text())
    assert 2 <= state["global_step"] < 8
    # With a worker or without, and in another process.
    assert run_here(arguments(output_dir=killed, resume_from_checkpoint="latest")) == 0
    assert_same_run(killed, tmp_path / "whole")


def test_sigterm_saves_and_exits_with_its_number(arguments: Arguments, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(arguments(num_train_epochs=500, num_workers=1), own_python=True)
    wait_until(lambda: (run / "log.jsonl").is_file() and len(log_of(run)) > 2, process)
    # As a scheduler does, to all processes of the run; the worker must not die of it before the run ends.
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "go on with --resume_from_checkpoint latest" in output
    assert "Traceback" not in output
    [*_, latest] = checkpoints(run)
    last_step = [line["step"] for line in log_of(run) if "loss" in line][-1]
    assert latest.name == f"step_{last_step:08d}"


@pytest.mark.slow
def test_two_processes_killed_and_resumed_end_as_if_they_had_not_been(arguments: Arguments, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    common = {"gradient_accumulation_steps": 1, "checkpointing_steps": 1}
    whole = start(arguments(output_dir=tmp_path / "whole", **common), launcher)
    output, _ = whole.communicate(timeout=2 * TIMEOUT_SECONDS)
    assert whole.returncode == 0, output
    killed = tmp_path / "killed"
    process = start(arguments(output_dir=killed, **common), launcher)
    wait_until(lambda: (killed / "checkpoints" / "step_00000002").is_dir(), process)
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(ranks) == 2
    for rank in ranks:
        os.kill(int(rank), signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode != 0
    resumed = start(arguments(output_dir=killed, resume_from_checkpoint="latest", **common), launcher)
    output, _ = resumed.communicate(timeout=2 * TIMEOUT_SECONDS)
    assert resumed.returncode == 0, output
    assert (killed / "checkpoints" / "step_00000008" / "random_states_1.pkl").is_file()
    assert_same_run(killed, tmp_path / "whole")


def test_run_does_not_begin_in_the_folder_of_another(arguments: Arguments, tmp_path: Path) -> None:
    assert run_here(arguments(max_train_steps=1)) == 0
    with pytest.raises(ResumeError, match=r"holds checkpoints of an earlier run.*resume_from_checkpoint=latest"):
        run_here(arguments(max_train_steps=1))
    with pytest.raises(ResumeError, match=r"step_00000001 is of another run: .*seed was 0 and is 1"):
        run_here(arguments(max_train_steps=1, seed=1, resume_from_checkpoint="latest"))


def test_captions_edited_at_the_same_size_and_time_are_read_and_named(
    arguments: Arguments, damaged_clips: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run_here(arguments(data_dir=damaged_clips, max_train_steps=1)) == 0
    captions = damaged_clips / "captions.jsonl"
    before = captions.stat()
    captions.write_text(captions.read_text().replace("shows", "ploys"))
    os.utime(captions, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert captions.stat().st_size == before.st_size
    again = {"data_dir": damaged_clips, "max_train_steps": 1, "resume_from_checkpoint": "latest"}
    with pytest.raises(ResumeError, match="the captions of the training videos changed; the captions of the validat"):
        run_here(arguments(**again))
    assert run_here(arguments(**again, allow_changes=True)) == 0
    assert "Going on with another run than before: the captions of the training videos changed." in caplog.text


def test_changed_learning_rate_takes_effect_where_it_is_allowed(arguments: Arguments, tmp_path: Path) -> None:
    common = {"max_train_steps": 4, "lr_scheduler_type": "constant", "warmup_ratio": 0}
    assert run_here(arguments(**common | {"max_train_steps": 2})) == 0
    changed = common | {"learning_rate": 5e-3, "resume_from_checkpoint": "latest"}
    with pytest.raises(ResumeError, match=r"learning_rate was 0\.001 and is 0\.005; steps was 2 and is 4"):
        run_here(arguments(**changed))
    assert run_here(arguments(**changed, allow_changes=True)) == 0
    rates = [line["learning_rate_new"] for line in log_of(tmp_path / "run") if "loss" in line]
    assert rates == [1e-3, 1e-3, 5e-3, 5e-3]


@pytest.mark.slow
def test_mistake_under_accelerate_launch_is_one_sentence(arguments: Arguments) -> None:
    launcher = ("-m", "accelerate.commands.launch", "--quiet", "--cpu", "--num_processes", "1")
    process = start(arguments(num_frames=9), launcher)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "the model has positions for 4 frames" in output


def test_run_of_another_number_of_processes_is_not_resumed(arguments: Arguments, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    assert run_here(arguments(max_train_steps=1)) == 0
    # The same global batch, with half the micro-batches on each process.
    overrides = {"max_train_steps": 1, "gradient_accumulation_steps": 1, "resume_from_checkpoint": "latest"}
    process = start(arguments(**overrides), launcher)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode != 0
    assert "step_00000001 is of another run: processes was 1 and is 2." in output


@pytest.fixture
def damaged_clips(clips: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for file in clips.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def damage(folder: Path, number: int) -> None:
    (folder / f"{number:02d}.mp4").write_bytes(b"not a video at all")


def test_bad_video_is_skipped_counted_and_listed(
    arguments: Arguments, damaged_clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The first of the order is held out for validation, the last is trained on.
    order = np.random.default_rng([0, 16]).permutation(NUM_CLIPS)
    held_out, trained = int(order[0]), int(order[-1])
    damage(damaged_clips, held_out)
    damage(damaged_clips, trained)
    assert run_here(arguments(data_dir=damaged_clips)) == 3
    listed = json.loads((tmp_path / "run" / "bad_videos.json").read_text())
    for kind, number in (("train", trained), ("validation", held_out)):
        [(video_id, reason)] = listed[kind].items()
        assert f"{number:02d}" in video_id
        assert reason
    assert "1 of 32 training videos and 1 validation videos could not be decoded" in caplog.text
    assert {result.num_videos for result in read_evaluation_results(tmp_path / "run" / "last")} == {15}
    assert len([line for line in log_of(tmp_path / "run") if "loss" in line]) == 8


@pytest.mark.parametrize("max_bad_share", [0.1, 1.0])
def test_run_refuses_to_go_on_when_too_many_videos_are_bad(
    arguments: Arguments, damaged_clips: Path, max_bad_share: float
) -> None:
    for number in range(NUM_CLIPS):
        damage(damaged_clips, number)
    with pytest.raises(TrainingStoppedError, match=r"of 32 training videos cannot be decoded, and max_bad_share is"):
        run_here(arguments(data_dir=damaged_clips, max_bad_share=max_bad_share))


@pytest.mark.parametrize("place", ["loss", "gradient"])
def test_loss_or_gradient_that_is_not_finite_stops_the_run_with_ids(
    arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def spoiled_step(accelerator: Any, model: Any, *batches: Any) -> StepLoss:
        losses = contrastive_step_module.contrastive_step(accelerator, model, *batches)
        if place == "loss":
            return StepLoss(losses.loss * float("nan"), losses.level_losses)
        next(model.parameters()).grad.fill_(float("inf"))
        return losses

    monkeypatch.setattr(training_run, "contrastive_step", spoiled_step)
    with pytest.raises(TrainingStoppedError) as caught:
        run_here(arguments())
    assert "at step 1" in str(caught.value)
    ids = str(caught.value).partition("videos were ")[2].partition(". No checkpoint")[0].split(", ")
    assert len(set(ids)) == 8
    assert {Path(video_id).stem for video_id in ids} <= {f"{number:02d}" for number in range(NUM_CLIPS)}
    assert not checkpoints(tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"resume_from_checkpoint": "nowhere"}, "resume_from_checkpoint is nowhere, which is not a folder"),
        ({"hold_out": 48}, "hold_out is 48, but there are 48 training videos"),
        ({"per_device_train_batch_size": 100}, "do not fill one batch of 200"),
        ({"validation_split": "test"}, "a checkpoint chosen on the test split has no honest test result"),
        ({"num_frames": 9}, "the model has positions for 4 frames"),
        ({"backbone": "/no/such/folder"}, "/no/such/folder"),
        ({"freeze": "sound"}, "the towers are 'text' and 'image'"),
    ],
)
def test_mistake_gives_one_sentence_and_exit_code_1(
    arguments: Arguments,
    caplog: pytest.LogCaptureFixture,
    overrides: dict[str, object],
    message: str,
) -> None:
    assert run_command_line(arguments(**overrides)) == 1
    [record] = [record for record in caplog.records if record.name == "video_colbert.training.training_run"]
    assert message in record.getMessage()
    assert record.exc_info is None


def run_in_client(command_line: list[str]) -> int:
    torch.set_num_threads(1)
    return train(parse_arguments(command_line))


def test_push_publishes_the_best_model_which_verifies(
    arguments: Arguments, hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repo_id = f"{hub.owner}/trained"
    client = HubClient(hub.settings(tmp_path_factory.mktemp("hub_home")))
    try:
        assert client(run_in_client, arguments(max_train_steps=2, push_to_hub=True, hub_model_id=repo_id)) == 0
        files = hub.repository(repo_id).resolve("main").files
        wanted = {"model.safetensors", "config.json", "README.md", "training_arguments.json", "self_test.json"}
        assert wanted <= files.keys()
        assert not {name for name in files if name.endswith((".pkl", ".bin", ".pt"))}
        assert client.command_line("verify", repo_id)[0] == 0
    finally:
        client.close()


def test_push_with_a_wrong_token_fails_before_the_training(
    arguments: Arguments, hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    client = HubClient(hub.settings(tmp_path_factory.mktemp("hub_home"), token=f"{hub.owner_token}x"))
    try:
        with pytest.raises(Exception, match="could not be pushed at the end of the run"):
            client(run_in_client, arguments(max_train_steps=2, push_to_hub=True, hub_model_id="a/b"))
    finally:
        client.close()
    assert not (tmp_path / "run").exists()
