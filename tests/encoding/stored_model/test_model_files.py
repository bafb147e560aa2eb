"""What tells one local model from another, and what of a broken one is named."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.encoding.stored_model.model_files import commit_in_cache, find_model_files, folder_digest
from video_colbert.errors import EncodingError, ModelLoadError
from video_colbert.hub.self_test import TENSOR_FILE

Edit = Callable[[Path], object]


def with_json(name: str, **fields: object) -> Edit:
    """Sets fields of a JSON file; of its part `video_processor` where it has one."""

    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        content.get("video_processor", content).update(fields)
        (folder / name).write_text(json.dumps(content))

    return edit


def with_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Edit:
    def edit(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


def as_pytorch_file(folder: Path, scale: float = 1.0) -> None:
    """Keeps the weights as `pytorch_model.bin`, multiplied."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({name: tensor * scale for name, tensor in weights.items()}, folder / "pytorch_model.bin")


@pytest.fixture
def copy(tmp_path: Path, checkpoint_folder: Path) -> Path:
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "model"))


@pytest.fixture
def backbone(tmp_path: Path, clip_backbone_folder: Path) -> Path:
    return Path(shutil.copytree(clip_backbone_folder, tmp_path / "backbone"))


@pytest.mark.parametrize(
    "edit",
    [
        with_weights(lambda weights: weights["frame_head.weight"].mul_(1.5)),
        with_json("processor_config.json", image_mean=[0.4, 0.5, 0.5]),
        with_json("processor_config.json", size={"shortest_edge": 40}),
        with_json("processor_config.json", crop_size={"height": 28, "width": 28}),
        with_json("processor_config.json", num_frames=5),
        with_json("config.json", temporal_num_heads=2),
        with_json("tokenizer_config.json", pad_token="<|startoftext|>"),  # noqa: S106 - a token of a tokenizer
    ],
    ids=["weights", "mean", "size", "crop", "frames", "config", "tokenizer"],
)
def test_whatever_decides_a_vector_makes_another_model_of_a_folder(copy: Path, edit: Edit) -> None:
    before = folder_digest(copy)
    edit(copy)
    assert folder_digest(copy) != before


def test_pytorch_weights_and_shards_are_told_apart(copy: Path, checkpoint_folder: Path) -> None:
    digests = {folder_digest(copy)}
    for scale in (1.0, 1.5):
        shutil.copyfile(checkpoint_folder / "model.safetensors", copy / "model.safetensors")
        as_pytorch_file(copy, scale)
        digests.add(folder_digest(copy))
    (copy / "pytorch_model.bin").rename(copy / "pytorch_model-00001-of-00001.bin")
    (copy / "pytorch_model.bin.index.json").write_text('{"weight_map": {}}')
    digests.add(folder_digest(copy))
    assert len(digests) == 4


def test_place_and_files_that_decide_nothing_make_no_other_model(copy: Path, checkpoint_folder: Path) -> None:
    for name in ("README.md", TENSOR_FILE, "evaluation.json", "optimizer.bin", "modeling_video_colbert.py"):
        (copy / name).write_bytes(b"anything")
    assert folder_digest(copy) == folder_digest(checkpoint_folder)
    assert find_model_files(copy).name == str(copy)


def test_settings_changed_after_loading_are_another_reference(checkpoint_folder: Path) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    loaded = encoder.reference
    found = {loaded.revision}
    for owner, name, value in (
        (encoder.processor.video_processor, "image_mean", [0.4, 0.5, 0.5]),
        (encoder.processor.video_processor, "size", {"shortest_edge": 40}),
        (encoder.processor.video_processor, "num_frames", 3),
        (encoder.processor, "query_length", 12),
        (encoder.processor, "query_windows", "sentences"),
    ):
        before = getattr(owner, name)
        setattr(owner, name, value)
        assert encoder.reference.commit == loaded.revision
        assert "its processor's settings changed" in str(encoder.reference)
        found.add(encoder.reference.revision)
        setattr(owner, name, before)
        assert encoder.reference == loaded
    assert len(found) == 6


@pytest.mark.parametrize("name", ["/not/a/folder", "../../x", "a/b/c", "nobody/nothing"])
def test_name_that_is_none_of_the_hubs_is_not_in_its_cache(name: str) -> None:
    assert commit_in_cache(name, None) is None


def test_folder_takes_no_revision(checkpoint_folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="is a folder, which has no revision 'v1'; leave it out"):
        load_pretrained(checkpoint_folder, revision="v1")


def cut(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1000])


def cut_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:100])


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 605157884\n"
    )


def lost_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"frame_head.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def pickled_code(folder: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "ran",))

    (folder / "model.safetensors").unlink()
    torch.save({"frame_head.weight": Code()}, folder / "pytorch_model.bin", pickle_module=pickle)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), r"holds no weights: model\.safetensors is missing"),
        (cut, r"model\.safetensors is cut short or damaged: it has \d+ bytes, and \d+ by its header"),
        (cut_header, r"model\.safetensors is cut short or no safetensors file"),
        (pointer, r"model\.safetensors is a Git LFS pointer in place of the weights; fetch them with `git lfs pull`"),
        (lost_shard, r"lacks model-00001-of-00002\.safetensors, which model\.safetensors\.index\.json names"),
        (
            with_weights(lambda weights: weights.pop("frame_head.weight")),
            r"weights that the checkpoint lacks, at random here: frame_head\.weight$",
        ),
        (
            with_weights(lambda weights: weights["query_head.weight"].view(-1)[5:6].fill_(torch.nan)),
            r"weights that are not finite numbers: query_head\.weight$",
        ),
        (
            with_weights(lambda weights: weights.update({"frame_head.weight": torch.zeros(3, 4)})),
            r"weights of another shape than the model's, at random here: frame_head\.weight \(\[3, 4\] in place of",
        ),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"holds no tokenizer: tokenizer\.json is missing"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "cannot be loaded: "),
        (lambda folder: (folder / "processor_config.json").unlink(), "no processor_config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "there is no model in"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "there is no model in"),
        (with_json("config.json", temporal_num_heads="four"), "cannot be loaded: "),
        (pickled_code, "cannot be loaded: "),
    ],
)
def test_what_a_checkpoint_lacks_or_has_wrong_is_one_sentence(copy: Path, edit: Edit, message: str) -> None:
    edit(copy)
    with pytest.raises(ModelLoadError, match=message) as error:
        load_pretrained(copy, device="cpu")
    assert "\n" not in str(error.value)
    assert str(copy) in str(error.value)
    assert not (copy / "ran").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (with_weights(lambda weights: weights.pop("visual_projection.weight")), "lacks the weights"),
        (
            with_weights(lambda weights: weights.update({"visual_projection.weight": torch.zeros(3, 4)})),
            r"1 weights of other sizes than its config says, such as visual_projection\.weight, \[3, 4\] in place of",
        ),
        (cut, "is cut short"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "cannot be loaded: "),
        (with_json("config.json", model_type="bert"), r"'bert' are not supported; supported are CLIP, MetaCLIP"),
    ],
)
def test_what_a_backbone_lacks_or_has_wrong_is_one_sentence(backbone: Path, edit: Edit, message: str) -> None:
    edit(backbone)
    with pytest.raises(ModelLoadError, match=message) as error:
        load_pretrained(backbone, device="cpu")
    assert "\n" not in str(error.value)


def test_nothing_but_our_sentence_is_logged_of_weights_that_do_not_fit(
    copy: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with_weights(lambda weights: weights.pop("frame_head.weight"))(copy)
    with caplog.at_level(logging.INFO), pytest.raises(ModelLoadError):
        load_pretrained(copy, device="cpu")
    assert "MISSING" not in caplog.text + "".join(capfd.readouterr())


def test_text_tower_that_gives_no_numbers_is_an_error_of_the_query(checkpoint_folder: Path) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    with torch.no_grad():
        encoder.model.query_head.weight.fill_(torch.nan)
    with pytest.raises(EncodingError, match="gave vectors that are not finite; try dtype float32"):
        encoder.encode_queries(["a red circle"])


@pytest.mark.parametrize(
    "edit",
    [
        with_json(
            "tokenizer_config.json",
            tokenizer_class="OtherTokenizer",
            auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]},
        ),
        with_json("config.json", model_type="evil", auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}),
        with_json("config.json", auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}),
    ],
)
def test_code_of_a_checkpoint_is_neither_run_nor_asked_for(
    copy: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_prompt(*arguments: object) -> str:
        raise AssertionError("a prompt")

    monkeypatch.setattr("builtins.input", no_prompt)
    edit(copy)
    (copy / "evil.py").write_text(f"open({str(copy / 'ran')!r}, 'w')\n")
    try:
        load_pretrained(copy, device="cpu")
    except ModelLoadError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either it loads without the code, or it is refused
    assert not (copy / "ran").exists()
