from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_checkpoints import save_tiny_checkpoint
from video_colbert.cli import main
from video_colbert.errors import CheckpointError, ModelLoadError
from video_colbert.hub import make_self_test, verify_checkpoint, write_model_card, write_self_test
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor


@pytest.fixture(scope="module", params=["clip", "siglip"])
def tested_checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, VideoColBERTModel, VideoColBERTProcessor]:
    backbone = request.getfixturevalue(f"{request.param}_backbone_folder")
    folder = save_tiny_checkpoint(tmp_path_factory.mktemp("tested"), backbone)
    model = VideoColBERTModel.from_pretrained(folder)
    processor = VideoColBERTProcessor.from_pretrained(folder)
    # As after training: nothing is at its initial value any more.
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    write_self_test(folder, model, processor)
    return folder, model, processor


@pytest.fixture
def copy(tmp_path: Path, tested_checkpoint: tuple[Path, VideoColBERTModel, VideoColBERTProcessor]) -> Path:
    return Path(shutil.copytree(tested_checkpoint[0], tmp_path / "copy"))


def replace_weight(folder: Path, name: str, value: torch.Tensor | None) -> None:
    weights = load_file(folder / "model.safetensors")
    if value is None:
        del weights[name]
    else:
        weights[name] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_saved_checkpoint_passes(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = verify_checkpoint(copy)
    assert report.passed
    assert report.largest_score_difference <= 1e-6
    assert main(["verify", str(copy)]) == 0
    assert "is as published" in capsys.readouterr().out


def test_every_tensor_that_matters_is_noticed_when_re_initialised(
    tested_checkpoint: tuple[Path, VideoColBERTModel, VideoColBERTProcessor],
) -> None:
    """Which tensors matter is found with other inputs, by a change of any token that a score could come from."""
    _, model, processor = tested_checkpoint
    test = make_self_test(model, processor)
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, model.config.text_config.vocab_size, (4, 16), generator=generator)
    pixels = torch.randn(3, 5, 3, 32, 32, generator=generator)

    @torch.inference_mode()
    def tokens() -> torch.Tensor:
        query, video = model.get_text_features(ids), model.get_video_features(pixels)
        assert video.video_embeds is not None
        return torch.cat([it.flatten() for it in (query.query_embeds, video.frame_embeds, video.video_embeds)])

    before, unseen = tokens(), []
    for name, parameter in model.named_parameters():
        value = parameter.detach().clone()
        with torch.no_grad():
            parameter.normal_(std=0.02, generator=generator)
        matters = (tokens() - before).abs().max() > 5e-3
        if matters and not test.compare(model, processor).differences:
            unseen.append(name)
        # The bias of the keys shifts all of a query's attention logits alike.
        assert matters or name.endswith("k_proj.bias") or name.startswith("logit_"), name
        with torch.no_grad():
            parameter.copy_(value)
    assert not unseen
    assert not test.compare(model, processor).differences


def test_re_initialised_tensor_is_named_by_what_it_changes(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    width = _width(copy)
    replace_weight(copy, "temporal_transformer.layers.0.fc1.weight", torch.randn(4 * width, width) * 0.02)
    report = verify_checkpoint(copy)
    assert not report.passed
    assert any(it.startswith("video tokens differ by up to ") for it in report.differences)
    assert not any("query" in it or "frame" in it for it in report.differences)
    assert main(["verify", str(copy)]) == 1
    out = capsys.readouterr().out
    assert "is not what was published" in out
    assert "video tokens differ" in out


def test_missing_weight_is_named(copy: Path) -> None:
    replace_weight(copy, "temporal_transformer.expansion_tokens", None)
    [first, *_] = verify_checkpoint(copy).differences
    assert first.endswith("at random here: temporal_transformer.expansion_tokens")


def test_weights_that_are_not_numbers_fail(copy: Path) -> None:
    replace_weight(copy, "temporal_transformer.expansion_tokens", torch.full((2, _width(copy)), torch.nan))
    assert "video tokens are missing, of another shape, or not numbers" in verify_checkpoint(copy).differences


def test_training_model_of_another_type_is_left_as_it_was(
    tested_checkpoint: tuple[Path, VideoColBERTModel, VideoColBERTProcessor],
) -> None:
    folder, _, processor = tested_checkpoint
    model = VideoColBERTModel.from_pretrained(folder, dtype=torch.bfloat16).train()
    model.text_model.eval()
    test = make_self_test(model, processor)
    assert model.dtype == torch.bfloat16
    assert model.training
    assert not model.text_model.training
    assert not test.compare(model.float().eval(), processor).differences


@pytest.mark.parametrize("family", ["clip", "siglip"])
@pytest.mark.parametrize("kind", ["zero_shot", "windows"])
def test_zero_shot_models_and_queries_in_windows_have_self_tests_too(
    request: pytest.FixtureRequest, tmp_path: Path, family: str, kind: str
) -> None:
    backbone = request.getfixturevalue(f"{family}_backbone_folder")
    settings: dict[str, Any] = (
        {"zero_shot": True} if kind == "zero_shot" else {"query_windows": "sentences", "query_length": 12}
    )
    temporal: dict[str, Any] = {"temporal_num_heads": 4, "temporal_num_layers": 1}
    model = VideoColBERTModel.from_backbone(backbone, **settings, **temporal)
    processor = VideoColBERTProcessor.from_backbone(backbone, **settings)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    write_self_test(tmp_path, model, processor)
    write_model_card(tmp_path)
    assert verify_checkpoint(tmp_path).passed
    text = (tmp_path / "README.md").read_text()
    assert ("own zero-shot retrieval" in text) == (kind == "zero_shot")
    assert ("windows of 12 tokens" in text) == (kind == "windows")
    with torch.no_grad():
        model.vision_model.get_input_embeddings().weight.normal_()
    model.save_pretrained(tmp_path)
    assert not verify_checkpoint(tmp_path).passed


def test_unknown_device_is_named(copy: Path) -> None:
    with pytest.raises(ModelLoadError, match="device 'tpu9' cannot be used"):
        verify_checkpoint(copy, device="tpu9")


def test_folder_without_self_test_or_with_a_damaged_one_is_an_error(copy: Path, checkpoint_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no self-test to verify it with"):
        verify_checkpoint(checkpoint_folder)
    (copy / "self_test.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="is damaged"):
        verify_checkpoint(copy)
    (copy / "self_test.json").write_text('{"format_version": 99}')
    with pytest.raises(CheckpointError, match="format_version 99"):
        verify_checkpoint(copy)


def _width(folder: Path) -> int:
    return int(load_file(folder / "model.safetensors")["temporal_transformer.expansion_tokens"].shape[1])
