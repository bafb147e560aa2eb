import json
import zipfile
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.cli import main
from video_colbert.dataset_builders.mirrors import hub_mirrors
from video_colbert.dataset_builders.mirrors.hub_mirrors import MIRRORS


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of MSR-VTT with three videos, two of them to test on, served in place of the Hub's."""
    folder = tmp_path / "copy"
    folder.mkdir()
    rows = [{"video_id": f"video{i}", "video": f"video{i}.mp4", "caption": f"text {i}"} for i in (1, 2, 3)]
    (folder / "msrvtt_test_1k.json").write_text(json.dumps(rows[:2]))
    training = [{**row, "caption": [row["caption"], "a clip"]} for row in rows]
    (folder / "msrvtt_train_9k.json").write_text(json.dumps(training))
    with zipfile.ZipFile(folder / "MSRVTT_Videos.zip", "w") as archive:
        for i in (1, 2, 3):
            archive.write(write_clip(tmp_path / f"{i}.mp4", i), f"video/video{i}.mp4")

    class Api:
        def __init__(self, token: str | None = None) -> None: ...

        def list_repo_files(self, repo_id: str, repo_type: str, revision: str) -> list[str]:
            assert (repo_id, revision) == (MIRRORS["msrvtt"].repo_id, MIRRORS["msrvtt"].revision)
            return [path.name for path in folder.iterdir()]

    monkeypatch.setattr(hub_mirrors, "HfApi", Api)
    monkeypatch.setattr(hub_mirrors, "hf_hub_download", lambda repo_id, file, **_: str(folder / file))
    return folder


@pytest.mark.usefixtures("copy")
def test_a_copy_is_fetched_compared_and_evaluated(
    tmp_path: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    data = tmp_path / "data"
    code, out, err = run_command("prepare", "msrvtt", "--data-dir", data, "--mirror", "--workers", "1")
    assert code == 0, err
    assert "msrvtt is the copy friedrichor/MSR-VTT at 81f238bb782a, which others than its authors keep." in err
    assert "msrvtt, protocol 1k-A, test: 2 of 2 videos; differs from the protocol" in out
    evaluate = ("evaluate", "--model", checkpoint_folder, "--dataset", "msrvtt", "--mirror")
    code, out, err = run_command(*evaluate, "--data-dir", data)
    assert code == 0, err
    assert "msrvtt, protocol 1k-A, split test: 2 of 2 videos, 2 captions" in out
    code, _, err = run_command(*evaluate)
    assert (code, "--mirror needs --data-dir" in err) == (1, True)


@pytest.mark.usefixtures("copy")
def test_training_fetches_a_copy_and_says_whose_it_is(
    tmp_path: Path, checkpoint_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    sizes = ["--num_frames", "2", "--num_workers", "0", "--hold_out", "1", "--per_device_train_batch_size", "2"]
    training = ["train", "--model", str(checkpoint_folder), "--dataset", "msrvtt", "--output_dir", str(run), *sizes]
    training += ["--max_train_steps", "1", "--mirror"]
    with caplog.at_level("INFO"):
        assert main(training) == 1
        assert "--mirror needs --data-dir" in caplog.text
        assert main([*training, "--data_dir", str(data)]) == 0
    assert "msrvtt is the copy friedrichor/MSR-VTT at 81f238bb782a, which others than its authors keep." in caplog.text
    assert (run / "best" / "model.safetensors").exists()
    assert json.loads((run / "best" / "training_arguments.json").read_text())["mirror"] is True


def test_a_data_set_without_a_copy_is_named(tmp_path: Path, run_command: RunCommand) -> None:
    code, out, err = run_command("prepare", "vatex", "--data-dir", tmp_path, "--mirror")
    assert (code, out) == (1, "")
    assert "no copy of 'vatex' on the Hub is known; there are copies of msrvtt, msvd, didemo, activitynet" in err
