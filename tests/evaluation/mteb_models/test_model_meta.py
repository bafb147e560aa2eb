"""What mteb is told of a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

mteb = pytest.importorskip("mteb")

from video_colbert import VideoColBERTEncoder, VideoColBERTModel  # noqa: E402
from video_colbert.evaluation import mteb_model  # noqa: E402
from video_colbert.evaluation.mteb_models import model_meta  # noqa: E402

# What is optional to mteb and does not apply, and what a folder without a repository cannot know.
MAY_BE_EMPTY = {
    "loader_kwargs",
    "n_active_parameters_override",
    "superseded_by",
    "contacts",
    "experiment_kwargs",
    "output_dtypes",
    "extra_requirements_groups",
    "public_training_code",
}


@pytest.fixture
def folder(tmp_path: Path, checkpoint_folder: Path) -> Path:
    """A checkpoint with all that a training run leaves beside it."""
    copy = Path(shutil.copytree(checkpoint_folder, tmp_path / "my-model"))
    (copy / "training_arguments.json").write_text(json.dumps({"dataset": "msrvtt"}))
    (copy / "README.md").write_text("---\nlicense: mit\ndatasets:\n- me/clips\n---\n\n# A model\n")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "backbone": "openai/clip-vit-base-patch32"}))
    return copy


def test_nothing_is_missing_and_the_sizes_are_those_of_the_weights(folder: Path) -> None:
    meta = mteb_model(folder, device="cpu").mteb_model_meta
    assert {name for name in type(meta).model_fields if getattr(meta, name) in (None, [], {})} <= MAY_BE_EMPTY
    model = VideoColBERTModel.from_pretrained(folder)
    parameters = sum(each.numel() for each in model.state_dict().values() if each.is_floating_point())
    assert meta.n_parameters == sum(each.numel() for each in model.parameters()) <= parameters
    assert meta.n_embedding_parameters == model.text_model.get_input_embeddings().weight.numel()
    assert meta.n_active_parameters == meta.n_parameters - meta.n_embedding_parameters
    assert meta.memory_usage_mb == pytest.approx(4 * meta.n_parameters / 2**20)
    assert (meta.embed_dim, meta.max_tokens) == (model.config.projection_dim, 16)
    assert meta.model_type == ["late-interaction"]
    assert meta.similarity_fn_name.value == "MaxSim"
    assert meta.modalities == ["text", "video"]
    assert meta.name == "local/my-model"
    assert meta.license == "mit"
    assert meta.training_datasets == {"MSRVTTT2V", "MSRVTTV2T"}
    assert meta.is_zero_shot_on(["MSRVTTT2V"]) is False
    assert meta.adapted_from == "openai/clip-vit-base-patch32"
    # mteb writes it beside its results, and reads it from there.
    assert json.loads(json.dumps(meta.to_dict(), default=str))["loader"] == "_load_by_mteb"


def test_the_revision_is_the_folders_content_and_marks_changed_settings(folder: Path) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(folder, device="cpu")
    meta = mteb_model(encoder).mteb_model_meta
    assert meta.revision == encoder.reference.revision
    encoder.processor.video_processor.num_frames = 3
    changed = mteb_model(encoder).mteb_model_meta
    assert changed.revision.startswith(f"{meta.revision}+")
    (folder / "notes.md").write_text("no part of the model")
    with torch.no_grad():
        encoder.model.query_head.weight += 1
    encoder.model.save_pretrained(folder)
    assert mteb_model(folder, device="cpu").mteb_model_meta.revision != meta.revision


def test_a_model_is_loaded_by_its_meta(folder: Path) -> None:
    meta = mteb_model(folder, device="cpu").mteb_model_meta
    again = meta.loader(meta.name, revision=meta.revision, device="cpu")
    assert isinstance(again, mteb.SearchProtocol)
    encoder = meta.loader(meta.name, revision=meta.revision, device="cpu", as_encoder=True)
    assert isinstance(encoder, mteb.EncoderProtocol)
    assert encoder.mteb_model_meta.revision == meta.revision


def test_a_zero_shot_model_is_an_experiment_apart(clip_backbone_folder: Path) -> None:
    meta = mteb_model(clip_backbone_folder, device="cpu").mteb_model_meta
    assert meta.experiment_name == "scoring_zero_shot_frames"
    assert meta.training_datasets is None
    assert mteb_model(clip_backbone_folder, device="cpu", meta={"license": "mit"}).mteb_model_meta.license == "mit"
    with pytest.raises(ValueError, match="meta has licence; mteb's ModelMeta has no such field"):
        mteb_model(clip_backbone_folder, device="cpu", meta={"licence": "mit"})


def test_mteb_has_the_tasks_that_training_data_stand_for() -> None:
    names = {name for tasks in model_meta.TASKS_OF_DATASET.values() for name in tasks}
    assert {mteb.get_task(name).metadata.name for name in names} == names
