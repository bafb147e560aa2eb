import json
import zipfile
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.dataset_builders.mirrors import hub_mirrors
from video_colbert.dataset_builders.mirrors.hub_mirrors import MIRRORS


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of MSR-VTT with two videos, served in place of the Hub's."""
    folder = tmp_path / "copy"
    folder.mkdir()
    rows = [{"video_id": f"video{i}", "video": f"video{i}.mp4", "caption": f"text {i}"} for i in (1, 2)]
    (folder / "msrvtt_test_1k.json").write_text(json.dumps(rows))
    with zipfile.ZipFile(folder / "MSRVTT_Videos.zip", "w") as archive:
        for i in (1, 2):
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


def test_a_data_set_without_a_copy_is_named(tmp_path: Path, run_command: RunCommand) -> None:
    code, out, err = run_command("prepare", "vatex", "--data-dir", tmp_path, "--mirror")
    assert (code, out) == (1, "")
    assert "no copy of 'vatex' on the Hub is known; there are copies of msrvtt, msvd, didemo, activitynet" in err
