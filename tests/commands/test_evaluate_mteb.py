"""`video-colbert evaluate --mteb`: mteb's own class of MSR-VTT, over made data."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.errors import MissingExtraError
from video_colbert.evaluation import mteb_model
from video_colbert.hub import build_model_card


@pytest.mark.skipif(find_spec("mteb") is None, reason="needs the extra [mteb]: make test-mteb")
@pytest.mark.usefixtures("quiet_datasets")
def test_the_command_writes_what_a_card_shows_and_tells_of_bad_videos(
    checkpoint_folder: Path, tmp_path: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.evaluation.mteb_models.clip_tasks import msrvtt_rows

    clips = [write_clip(tmp_path / f"{seed}.mp4", seed) for seed in range(4)]
    monkeypatch.setattr("mteb.tasks.retrieval.eng.msr_vtt.load_dataset", lambda *_, **__: msrvtt_rows(clips))
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "my-model"))
    command = ("evaluate", "--model", folder, "--device", "cpu", "--dtype", "float32", "--mteb", "MSRVTTT2V")
    output = folder / "mteb_results.json"
    code, out, err = run_command(*command, "--mteb-results", tmp_path / "kept", "--output", output)
    assert code == 0, err
    assert "4 queries, 4 videos" in out
    assert "MSRVTTT2V is 879 of the 1,000 pairs of MSR-VTT's 1k-A test split" in out
    assert len(list((tmp_path / "kept").rglob("MSRVTTT2V.json"))) == 1
    card = build_model_card(folder)
    [measured] = json.loads(output.read_text())
    assert f"| MSRVTTT2V | test | {100 * measured['metrics']['ndcg_at_10']:.2f} |" in card.text
    assert {entry.dataset_name for entry in card.data.eval_results} == {"MTEB MSRVTTT2V"}

    clips[2].write_bytes(b"no video")
    code, out, err = run_command(*command, "--mteb-results", tmp_path / "other", "--mteb-index", tmp_path / "index")
    assert code == 3
    assert "4 queries, 4 videos, 1 of them bad" in out
    assert "1 videos of MSRVTTT2V cannot be decoded and count as not found: 2: " in err


def test_without_the_extra_one_sentence_says_what_to_install(
    checkpoint_folder: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.evaluation.mteb_models.installed.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'video-colbert\[mteb\]'"):
        mteb_model(checkpoint_folder)
    code, _, err = run_command("evaluate", "--model", checkpoint_folder, "--mteb", "MSRVTTT2V")
    assert code == 1
    assert err.count("\n") == 1
    assert "an evaluation by mteb needs the package mteb" in err


def test_arguments_of_a_data_set_do_not_go_with_tasks(
    checkpoint_folder: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    model = ("evaluate", "--model", checkpoint_folder)
    code, _, err = run_command(*model, "--mteb", "MSRVTTT2V", "--data-dir", tmp_path)
    assert code == 1
    assert "--data-dir goes with --dataset" in err
    code, _, err = run_command(*model, "--dataset", "moving_shapes", "--mteb-index", tmp_path)
    assert code == 1
    assert "--mteb-index goes with --mteb" in err
