from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.accelerators import needs_gpu
from tests.video_files import write_bad_files, write_clip
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.errors import EncodingError, ModelLoadError
from video_colbert.processing import DecodingSettings, decode_video


@pytest.fixture(scope="module")
def encoder(checkpoint_folder: Path) -> VideoColBERTEncoder:
    return VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[VideoClip]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        VideoClip(write_clip(folder / f"{seed}.mp4", seed, frames=frames)) for seed, frames in enumerate((12, 1, 4, 9))
    ]


def good(results: list[EncodedVideo | BadVideo]) -> list[EncodedVideo]:
    assert all(isinstance(result, EncodedVideo) for result in results)
    return [result for result in results if isinstance(result, EncodedVideo)]


def test_encoded_clips_score_as_the_model_does(encoder: VideoColBERTEncoder, clips: list[VideoClip]) -> None:
    model, processor = encoder.model, encoder.processor
    encoded = good(list(encoder.encode_videos(clips)))
    inputs = processor(text=["a red circle grows"], videos=[clip.source for clip in clips])
    with torch.no_grad():
        expected = model(**inputs)
    for row, video in enumerate(encoded):
        for level, bag in video.embeds.items():
            mask = expected.video[f"{level}_mask"][row].bool()
            torch.testing.assert_close(bag, expected.video[f"{level}_embeds"][row][mask], atol=1e-5, rtol=0)


@needs_gpu
def test_a_gpu_encodes_as_the_processor_does(
    encoder: VideoColBERTEncoder, checkpoint_folder: Path, clips: list[VideoClip], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Convolutions round to 10 bits of precision otherwise.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    on_gpu = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cuda")
    pairs = zip(good(list(on_gpu.encode_videos(clips))), good(list(encoder.encode_videos(clips))), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found.embeds["frame"].cpu(), expected.embeds["frame"], atol=1e-4, rtol=0)
        torch.testing.assert_close(found.embeds["video"].cpu(), expected.embeds["video"], atol=1e-4, rtol=0)
    found, expected = (
        each.encode_queries(["a red circle grows"]).bags_of("frame").embeds for each in (on_gpu, encoder)
    )
    torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=0)


def test_timestamps_and_duration_are_those_of_the_decoded_frames(
    encoder: VideoColBERTEncoder, clips: list[VideoClip]
) -> None:
    for clip, video in zip(clips, good(list(encoder.encode_videos(clips, num_frames=5))), strict=True):
        decoded = decode_video(clip.source, 5)
        assert video.timestamps.tolist() == decoded.timestamps.tolist()
        assert video.duration == decoded.duration
        assert len(video.embeds["frame"]) == len(decoded.timestamps)


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (3, 2), (8, 4)])
def test_neither_batch_size_nor_threads_change_a_vector(
    encoder: VideoColBERTEncoder, clips: list[VideoClip], batch_size: int, threads: int
) -> None:
    alone = [good(list(encoder.encode_videos([clip])))[0] for clip in clips]
    together = good(list(encoder.encode_videos(clips, batch_size=batch_size, threads=threads)))
    assert [video.clip for video in together] == clips
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.embeds["frame"], other.embeds["frame"], atol=1e-5, rtol=0)
        torch.testing.assert_close(one.embeds["video"], other.embeds["video"], atol=1e-5, rtol=0)


def test_window_of_a_clip_is_what_is_encoded(encoder: VideoColBERTEncoder, clips: list[VideoClip]) -> None:
    [video] = good(list(encoder.encode_videos([VideoClip(clips[0].source, start=1.0, end=2.0)])))
    assert video.timestamps.tolist() == [1.0, 1.25, 1.5, 1.75]
    assert video.duration == pytest.approx(3.0)


def test_bad_files_are_reported_in_their_place_and_the_rest_is_encoded(
    encoder: VideoColBERTEncoder, clips: list[VideoClip], tmp_path: Path
) -> None:
    bad = write_bad_files(tmp_path)
    mixed = [VideoClip(bad["text"]), clips[0], VideoClip(bad["audio"]), VideoClip(bad["empty"]), clips[1]]
    results = list(encoder.encode_videos([*mixed, VideoClip(tmp_path / "none.mp4")], batch_size=2))
    assert [isinstance(result, BadVideo) for result in results] == [True, False, True, True, False, True]
    reported = {Path(result.source).name: result.reason for result in results if isinstance(result, BadVideo)}
    assert reported.keys() == {"text.mp4", "audio.mp4", "empty.mp4", "none.mp4"}
    assert all(reported.values())


def test_unexpected_error_of_one_file_does_not_end_the_stream(
    encoder: VideoColBERTEncoder, clips: list[VideoClip], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_ever = DecodingSettings.decode

    def decode(settings: DecodingSettings, source: Path, **options: Any) -> object:
        if source == clips[1].source:
            raise RuntimeError("a decoder's own bug")
        return as_ever(settings, source, **options)

    monkeypatch.setattr(DecodingSettings, "decode", decode)
    results = list(encoder.encode_videos(clips))
    assert results[1] == BadVideo(str(clips[1].source), "RuntimeError: a decoder's own bug")
    assert len(good([result for place, result in enumerate(results) if place != 1])) == 3


def test_clips_are_taken_only_a_few_ahead(encoder: VideoColBERTEncoder, clips: list[VideoClip]) -> None:
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield clips[1]

    stream = encoder.encode_videos(endless(), batch_size=2, threads=1)  # type: ignore[arg-type]
    for _ in range(4):
        next(stream)
    assert taken <= 4 + 2 + 2
    stream.close()  # type: ignore[attr-defined]


def test_numbers_out_of_range_are_refused_at_once(encoder: VideoColBERTEncoder) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        encoder.encode_videos([], batch_size=0)
    with pytest.raises(EncodingError, match=r"num_frames is 17, .* has positions for 16 frames"):
        encoder.encode_videos([], num_frames=17)


def test_clip_of_vectors_that_are_not_finite_is_bad(checkpoint_folder: Path, clips: list[VideoClip]) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    with torch.no_grad():
        encoder.model.frame_head.weight.fill_(float("nan"))
    [bad] = encoder.encode_videos(clips[:1])
    assert isinstance(bad, BadVideo)
    assert bad.source == str(clips[0].source)
    assert bad.reason.endswith("gave vectors for it that are not finite; try dtype float32")


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_queries_equal_the_models_own_and_depend_on_no_batch(encoder: VideoColBERTEncoder, batch_size: int) -> None:
    texts = ["a red circle", "a blue square moves left, then grows", "dog"]
    queries = encoder.encode_queries(texts, batch_size=batch_size)
    with torch.no_grad():
        expected = encoder.model.get_text_features(**encoder.processor.process_queries(texts))
    torch.testing.assert_close(queries.bags_of("frame").embeds, expected.query_embeds, atol=1e-5, rtol=0)
    assert torch.equal(queries.bags_of("frame").mask, expected.query_mask)
    assert queries.bags_of("frame").words == encoder.processor.query_words(texts)
    assert queries.level_weights == {"frame": 1.0, "video": 1.0}


def test_truncated_queries_are_counted(encoder: VideoColBERTEncoder) -> None:
    texts = ["a red circle", "a man rides a bicycle through the city " * 3]
    assert encoder.encode_queries(texts).truncated == [1]
    with pytest.raises(ValueError, match="needs a query"):
        encoder.encode_queries([])


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_plain_backbone_is_used_zero_shot_with_a_notice(
    family: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, clips: list[VideoClip]
) -> None:
    folder = request.getfixturevalue(f"{family}_backbone_folder")
    with caplog.at_level(logging.WARNING, logger="video_colbert"):
        encoder = VideoColBERTEncoder.from_pretrained(folder, device="cpu")
    assert encoder.is_zero_shot
    assert f"is a {family} checkpoint, not a Video-ColBERT one: searching zero-shot" in caplog.text
    [video, *_] = good(list(encoder.encode_videos(clips)))
    assert list(video.embeds) == ["frame"]
    queries = encoder.encode_queries(["a red circle"])
    assert queries.bags_of("frame").embeds.shape[:2] == (1, 1)
    assert [(word.word, word.token_positions) for word in queries.bags_of("frame").words[0]] == [("a red circle", [0])]
    assert queries.level_weights == {"frame": 1.0}


def test_trained_checkpoint_is_not_zero_shot(encoder: VideoColBERTEncoder) -> None:
    assert not encoder.is_zero_shot
    assert encoder.num_frames == 6


def test_revision_of_a_local_folder_follows_its_weights(checkpoint_folder: Path, tmp_path: Path) -> None:
    first = load_pretrained(checkpoint_folder, device="cpu")
    first.model.save_pretrained(tmp_path)
    first.processor.save_pretrained(tmp_path)
    copied = load_pretrained(tmp_path, device="cpu").reference.revision
    with torch.no_grad():
        first.model.frame_head.weight.mul_(1.5)
    first.model.save_pretrained(tmp_path)
    assert load_pretrained(tmp_path, device="cpu").reference.revision != copied
    assert first.reference.name == str(checkpoint_folder)


def test_number_type_is_what_was_asked_for(checkpoint_folder: Path) -> None:
    assert load_pretrained(checkpoint_folder, device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "dtype must be one of float32, bfloat16, float16, got 'int8'"),
        ({"device": "nonsense"}, "device 'nonsense' cannot be used"),
    ],
)
def test_bad_options_are_named(checkpoint_folder: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ModelLoadError, match=message):
        load_pretrained(checkpoint_folder, **options)  # type: ignore[arg-type]


def test_models_that_cannot_be_loaded_are_named(
    tmp_path: Path, clip_backbone_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelLoadError, match="there is no model 'no-such/model'"):
        load_pretrained("no-such/model")
    with pytest.raises(ModelLoadError, match="there is no model"):
        load_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelLoadError, match=r"cannot be loaded: .*bert"):
        load_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((clip_backbone_folder / "config.json").read_text())
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        load_pretrained(tmp_path)
