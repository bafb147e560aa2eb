from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

from tests.tiny_checkpoints import save_tiny_checkpoint
from tests.video_files import write_clip
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.passes import converted_towers
from video_colbert.encoding.passes.converted_towers import converted_folder
from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.errors import MissingExtraError, ModelLoadError


def by_openvino(folder: Path, **options: str) -> VideoColBERTEncoder:
    pytest.importorskip("openvino")
    return VideoColBERTEncoder.from_pretrained(folder, backend="openvino", **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def videos(encoder: VideoColBERTEncoder, files: list[str]) -> list[EncodedVideo]:
    return [each for each in encoder.encode_videos(files, batch_size=4) if isinstance(each, EncodedVideo)]


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_vectors_are_those_of_torch_and_do_not_depend_on_the_batch(
    request: pytest.FixtureRequest, tmp_path: Path, family: str
) -> None:
    folder = save_tiny_checkpoint(tmp_path / "model", request.getfixturevalue(f"{family}_backbone_folder"))
    encoder = by_openvino(folder)
    assert encoder.number_format == "float32 by openvino"
    files = [write_clip(tmp_path / f"{seed}.mp4", seed, frames=frames) for seed, frames in enumerate((9, 1, 4))]
    exact = VideoColBERTEncoder.from_pretrained(folder, device="cpu")
    found = videos(encoder, files)
    assert len(found) == 3
    for video, expected, file in zip(found, videos(exact, files), files, strict=True):
        [alone] = videos(encoder, [file])
        for level, vectors in video.embeds.items():
            torch.testing.assert_close(vectors, expected.embeds[level], atol=1e-5, rtol=0)
            assert torch.equal(vectors, alone.embeds[level])
    # Queries are torch's.
    texts = ["a red square", "a dog"]
    assert torch.equal(
        encoder.encode_queries(texts).bags_of("frame").embeds, exact.encode_queries(texts).bags_of("frame").embeds
    )


def test_a_model_is_converted_once_and_again_when_its_file_is_damaged_or_gone(
    monkeypatch: pytest.MonkeyPatch, checkpoint_folder: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    revision = by_openvino(checkpoint_folder).reference.revision
    folder = converted_folder(revision)
    assert sorted(file.name for file in folder.iterdir()) == ["digests.json", "tower.bin", "tower.xml"]
    assert not list(own_cache.rglob("*.unfinished"))
    made: list[Path] = []
    convert = converted_towers._convert

    def counted(tower: torch.nn.Module, side: int, folder: Path) -> None:
        made.append(folder)
        convert(tower, side, folder)

    monkeypatch.setattr(converted_towers, "_convert", counted)
    by_openvino(checkpoint_folder)
    assert made == []
    content = bytearray((folder / "tower.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "tower.bin").write_bytes(content)
    by_openvino(checkpoint_folder)
    assert len(made) == 1
    assert "is damaged and is made again" in caplog.text
    (folder / "digests.json").unlink()
    by_openvino(checkpoint_folder)
    assert len(made) == 2
    shutil.rmtree(own_cache)
    by_openvino(checkpoint_folder)
    assert len(made) == 3


def test_a_conversion_that_ends_early_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, checkpoint_folder: Path, own_cache: Path
) -> None:
    def full(tower: torch.nn.Module, side: int, folder: Path) -> None:
        (folder / "tower.xml").write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(converted_towers, "_convert", full)
    with pytest.raises(ModelLoadError, match="cannot be converted for OpenVINO into"):
        by_openvino(checkpoint_folder)
    assert list((own_cache / "openvino").iterdir()) == []


def test_what_openvino_does_not_compute_is_named(monkeypatch: pytest.MonkeyPatch, checkpoint_folder: Path) -> None:
    with pytest.raises(ModelLoadError, match="openvino computes auto, float32 or bfloat16, got dtype 'int8'"):
        by_openvino(checkpoint_folder, dtype="int8")
    with pytest.raises(ModelLoadError, match="backend must be one of torch, openvino, got 'onnx'"):
        load_pretrained(checkpoint_folder, backend="onnx")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="needs the extra `openvino`"):
        load_pretrained(checkpoint_folder, backend="openvino")
