from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from video_colbert.errors import CheckpointError
from video_colbert.hub.checkpoint_files import find_checkpoint_files
from video_colbert.hub.evaluation_files import EVALUATION_FILE, read_evaluation_results
from video_colbert.hub.json_files import read_json_object
from video_colbert.hub.self_test import SelfTest
from video_colbert.modeling_video_colbert import VideoColBERTModel


@pytest.fixture
def folder(tmp_path: Path, checkpoint_folder: Path) -> Path:
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "checkpoint"))


def test_code_is_what_the_auto_maps_need(folder: Path) -> None:
    (folder / "train_secretly.py").write_text("")
    found = find_checkpoint_files(folder)
    code = {name for name in found.kept if name.endswith(".py")}
    assert code == {path.name for path in folder.glob("*.py")} - {"train_secretly.py"}
    assert found.left_out == ["train_secretly.py"]


def test_shards_are_those_of_the_index(folder: Path, checkpoint_folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    VideoColBERTModel.from_pretrained(checkpoint_folder).save_pretrained(folder, max_shard_size="200KB")
    shards = {path.name for path in folder.glob("model-*.safetensors")}
    assert len(shards) > 1
    (folder / "model-00009-of-00009.safetensors").write_bytes(b"of another save")
    found = find_checkpoint_files(folder)
    assert {name for name in found.kept if ".safetensors" in name} == shards | {"model.safetensors.index.json"}
    (folder / min(shards)).unlink()
    with pytest.raises(CheckpointError, match=f"has no {min(shards)}, which model.safetensors.index.json names"):
        find_checkpoint_files(folder)


@pytest.mark.parametrize("name", ["../weights.safetensors", "weights.bin"])
def test_index_cannot_name_other_files(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CheckpointError, match="not a safetensors file beside it"):
        find_checkpoint_files(folder)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.safetensors", "only safetensors weights are published"),
        ("processor_config.json", r"there is no .*processor_config\.json; save the model and its processor"),
        ("modeling_video_colbert.py", "where the code of its AutoModel is"),
        ("late_interaction.py", r"lacks the code late_interaction\.py"),
    ],
)
def test_what_is_missing_is_named(folder: Path, missing: str, message: str) -> None:
    (folder / missing).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=message):
        find_checkpoint_files(folder)


def test_folder_of_another_model_or_none_is_an_error(folder: Path, clip_backbone_folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(CheckpointError, match="holds a 'clip' model"):
        find_checkpoint_files(folder)
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        find_checkpoint_files(folder / "none")


def test_links_out_of_the_checkpoint_are_refused_and_those_of_the_hubs_cache_are_not(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "private.json").write_text("[]")
    (folder / "evaluation.json").symlink_to(tmp_path / "private.json")
    with pytest.raises(
        CheckpointError, match=r"evaluation\.json is a link to .*private\.json, outside of the checkpoint"
    ):
        find_checkpoint_files(folder)
    (folder / "evaluation.json").unlink()
    snapshot = tmp_path / "models--a--b/snapshots/0123"
    blobs = tmp_path / "models--a--b/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in folder.iterdir():
        (snapshot / path.name).symlink_to(Path(shutil.copy(path, blobs / path.name)))
    assert find_checkpoint_files(snapshot).kept == find_checkpoint_files(folder).kept


def test_code_outside_of_the_checkpoint_is_none_of_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private.py").write_text("")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"]["AutoModel"] = f"{tmp_path / 'private'}.VideoColBERTModel"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not say where the code of its AutoModel is"):
        find_checkpoint_files(folder)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000])
def test_json_that_is_nested_without_end_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    for name in ("training_arguments.json", EVALUATION_FILE, "self_test.json"):
        (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=r"training_arguments\.json is not JSON"):
        read_json_object(tmp_path / "training_arguments.json")
    with pytest.raises(CheckpointError, match="is not JSON"):
        read_evaluation_results(tmp_path)
    with pytest.raises(CheckpointError, match=r"self-test .*self_test\.json is damaged"):
        SelfTest.read(tmp_path / "self_test.json", tmp_path / "self_test.safetensors")
