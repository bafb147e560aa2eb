from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.tiny_checkpoints import save_tiny_checkpoint
from tests.video_files import write_clip
from video_colbert.encoding.encoded import BadVideo, EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.passes import choose_format as choosing
from video_colbert.encoding.passes import kept_choices
from video_colbert.encoding.passes.choose_format import FormatChoice, choose_format
from video_colbert.encoding.passes.kept_choices import choice_file, in_fastest_format
from video_colbert.encoding.passes.number_formats import NumberFormat, with_image_tower_in
from video_colbert.encoding.passes.row_scaled_int8 import can_compute_int8
from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.errors import EncodingError, ModelLoadError
from video_colbert.modeling_video_colbert import VideoColBERTModel

needs_int8 = pytest.mark.skipif(not can_compute_int8(), reason="torch multiplies integers of 8 bits on x86 only")


@pytest.fixture
def model(checkpoint_folder: Path) -> VideoColBERTModel:
    return load_pretrained(checkpoint_folder, device="cpu").model


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries formats on tiny towers too."""
    monkeypatch.setattr(choosing, "SMALL_TOWER", 0)


def speeds(monkeypatch: pytest.MonkeyPatch, bfloat16: float, int8: float, *, error: float = 0.0) -> None:
    """Formats of these speeds whose vectors differ by so much from those of float32."""
    of = {"bfloat16": bfloat16, "int8": int8}
    names: list[NumberFormat] = []

    def tower(model: VideoColBERTModel, name: NumberFormat) -> VideoColBERTModel:
        names.append(name)
        return with_image_tower_in(model, name)

    def in_turn(base: object, other: object) -> object:
        vectors = torch.tensor([[1.0, 0.0]])
        return choosing._Tried(vectors, vectors + torch.tensor([0.0, error]), of[names[-1]])

    monkeypatch.setattr(choosing, "with_image_tower_in", tower)
    monkeypatch.setattr(choosing, "formats_of", lambda device: ("float32", "bfloat16", "int8"))
    monkeypatch.setattr(choosing, "_layer_speeds", lambda model, names: dict(of))
    monkeypatch.setattr(choosing, "_in_turn", in_turn)


@needs_int8
@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    ("bfloat16", "int8", "error", "chosen"),
    [
        (4.9, 4.6, 0.0, "bfloat16"),
        (0.2, 1.7, 0.0, "int8"),
        (0.2, 1.1, 0.0, "float32"),
        (4.9, 4.6, 0.1, "float32"),
        (4.9, 4.6, 0.01, "bfloat16"),
    ],
)
def test_the_fastest_format_of_equal_vectors_is_chosen(
    monkeypatch: pytest.MonkeyPatch, model: VideoColBERTModel, bfloat16: float, int8: float, error: float, chosen: str
) -> None:
    speeds(monkeypatch, bfloat16, int8, error=error)
    assert choose_format(model)[0].number_format == chosen


@pytest.mark.usefixtures("any_size")
def test_formats_are_tried_on_a_real_model_which_is_left_as_it_is(model: VideoColBERTModel) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    choice, fastest = choose_format(model)
    assert choice.is_new
    assert set(choice.speeds) >= {"bfloat16"}
    assert fastest is not model or choice.number_format == "float32"
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_tiny_tower_is_float32_without_trying(
    monkeypatch: pytest.MonkeyPatch, checkpoint_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(choosing, "_in_turn", None)
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu", dtype="auto")
    assert encoder.number_format == "float32"
    assert not encoder.format_choice.is_new
    assert not (tmp_path / "cache").exists()


@needs_int8
def test_a_choice_is_kept_by_model_and_processor(monkeypatch: pytest.MonkeyPatch, model: VideoColBERTModel) -> None:
    made: list[VideoColBERTModel] = []

    def choose(model: VideoColBERTModel) -> tuple[FormatChoice, VideoColBERTModel]:
        made.append(model)
        return FormatChoice("int8", {"int8": 1.7}, {"int8": 0.9995}, is_new=True), with_image_tower_in(model, "int8")

    monkeypatch.setattr(kept_choices, "choose_format", choose)
    first, _ = in_fastest_format(model, "a")
    again, _ = in_fastest_format(model, "a")
    assert (first.is_new, again.is_new, again.number_format, again.speeds) == (True, False, "int8", first.speeds)
    assert len(made) == 1
    in_fastest_format(model, "b")
    assert len(made) == 2
    monkeypatch.setattr(kept_choices, "processor_identity", lambda: "another")
    in_fastest_format(model, "a")
    assert len(made) == 3


@needs_int8
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"number_format": "int4", "speeds": {}, "cosines": {}}',
        '{"number_format": "int8", "speeds": {"int8": 2}, "cosines": {"int8": 0.5}}',
        '{"number_format": "int8", "speeds": {"int8": 2}, "cosines": {}}',
    ],
)
def test_a_damaged_choice_is_made_again(
    monkeypatch: pytest.MonkeyPatch, model: VideoColBERTModel, content: str
) -> None:
    file = choice_file("a", "torch")
    file.parent.mkdir(parents=True)
    file.write_text(content)
    new = FormatChoice("int8", {"int8": 1.7}, {"int8": 0.9995}, is_new=True)
    monkeypatch.setattr(kept_choices, "choose_format", lambda model: (new, model))
    assert in_fastest_format(model, "a")[0] == new
    assert json.loads(file.read_text())["cosines"] == {"int8": 0.9995}


@needs_int8
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_int8_vectors_are_near_and_do_not_depend_on_the_batch(
    request: pytest.FixtureRequest, tmp_path: Path, family: str
) -> None:
    folder = save_tiny_checkpoint(tmp_path, request.getfixturevalue(f"{family}_backbone_folder"))
    files = [write_clip(tmp_path / f"{seed}.mp4", seed, frames=frames) for seed, frames in enumerate((9, 1, 4))]
    exact = VideoColBERTEncoder.from_pretrained(folder, device="cpu")
    encoder = VideoColBERTEncoder.from_pretrained(folder, device="cpu", dtype="int8")
    together = [each for each in encoder.encode_videos(files, batch_size=4) if isinstance(each, EncodedVideo)]
    expected = [each for each in exact.encode_videos(files) if isinstance(each, EncodedVideo)]
    clips = [exact.clip_decoder().decode(each.clip) for each in expected]
    in_bulk = encoder.encode_decoded([clip for clip in clips if not isinstance(clip, BadVideo)])
    for video, of_float32, bulk in zip(together, expected, in_bulk, strict=True):
        assert isinstance(bulk, EncodedVideo)
        alone = next(encoder.encode_videos(str(video.clip.source)))
        assert isinstance(alone, EncodedVideo)
        for level, vectors in video.embeds.items():
            assert torch.equal(vectors, alone.embeds[level])
            assert torch.equal(vectors, bulk.embeds[level])
            assert torch.nn.functional.cosine_similarity(vectors, of_float32.embeds[level], dim=-1).min() > 0.99
    texts = ["a red square", "a dog"]
    assert torch.equal(
        encoder.encode_queries(texts).bags_of("frame").embeds, exact.encode_queries(texts).bags_of("frame").embeds
    )


@needs_int8
def test_int8_is_of_processors_only(monkeypatch: pytest.MonkeyPatch, checkpoint_folder: Path) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu", dtype="int8")
    with pytest.raises(EncodingError, match="load it in float32 by torch"):
        encoder.replica("meta")
    monkeypatch.setattr("video_colbert.encoding.passes.number_formats.can_compute_int8", lambda: False)
    with pytest.raises(ModelLoadError, match="int8 is computed on x86 processors only"):
        load_pretrained(checkpoint_folder, device="cpu", dtype="int8")


@needs_int8
def test_an_encoded_video_says_its_format(checkpoint_folder: Path, tmp_path: Path) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu", dtype="int8")
    [video] = encoder.encode_videos(write_clip(tmp_path / "a.mp4", 1))
    assert isinstance(video, EncodedVideo)
    assert video.number_format == encoder.number_format == "int8"
