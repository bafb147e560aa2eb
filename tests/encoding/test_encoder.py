from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.accelerators import needs_gpu
from tests.stand_in_decoder import StandInDecoder
from tests.video_files import write_bad_files, write_clip
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.errors import EncodingError, ModelLoadError
from video_colbert.processing import DecodingSettings, VideoDecodingError, decode_video


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


def test_one_text_is_one_query_and_one_path_one_video(encoder: VideoColBERTEncoder, clips: list[VideoClip]) -> None:
    one = encoder.encode_queries("a red circle")
    assert list(one.texts) == ["a red circle"]
    assert torch.equal(one.bags_of("frame").embeds, encoder.encode_queries(["a red circle"]).bags_of("frame").embeds)
    path = clips[0].source
    assert isinstance(path, Path)
    [expected] = good(list(encoder.encode_videos(clips[:1])))
    for given in (path, str(path), clips[0], path.read_bytes(), [path], iter([str(path)]), (clips[0],)):
        [video] = good(list(encoder.encode_videos(given)))
        assert torch.equal(video.embeds["frame"], expected.embeds["frame"])
    frames = decode_video(path, 6).frames
    assert len(good(list(encoder.encode_videos(frames)))) == 1
    assert len(good(list(encoder.encode_videos([frames, path])))) == 2


@pytest.mark.parametrize("is_of_data_set", [True, False])
def test_decoders_of_a_data_set_are_encoded_as_their_files(
    encoder: VideoColBERTEncoder, is_of_data_set: bool, tmp_path: Path
) -> None:
    paths = [str(write_clip(tmp_path / f"{number}.mp4", number)) for number in range(2)]
    decoders = [StandInDecoder(path, {"path": path, "bytes": None} if is_of_data_set else None) for path in paths]
    expected = encoder.similarity("a red square", paths)
    torch.testing.assert_close(encoder.similarity("a red square", decoders), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(encoder.similarity("a red square", decoders[0]), expected[:, :1], rtol=0, atol=1e-6)


def test_wrong_types_are_told_what_is_right(encoder: VideoColBERTEncoder, clips: list[VideoClip]) -> None:
    for call, message in (
        (lambda: encoder.encode_queries(7), r"texts must be a text or a list of them, not int"),
        (lambda: encoder.encode_queries(["x", b"y"]), r"texts must be a text .*; the list holds a bytes"),
        (lambda: list(encoder.encode_videos(7)), r"videos must be a path, URL, .*, not int"),
        (lambda: list(encoder.encode_videos([clips[0], None])), r"videos must be a path.*; the list holds a NoneType"),
        (lambda: encoder.similarity("x", 3.5), r"videos must be a path.*, not float"),
        (lambda: encoder.similarity(None, clips), r"texts must be a text or a list of them, not NoneType"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_a_query_is_tokenised_once(encoder: VideoColBERTEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenised = []
    tokenizer = type(encoder.processor.tokenizer)
    encode = tokenizer.__call__

    def counting(self: object, texts: list[str], **options: object) -> object:
        tokenised.extend(texts)
        return encode(self, texts, **options)

    monkeypatch.setattr(tokenizer, "__call__", counting)
    encoder.encode_queries(["a red circle", "a blue square"])
    assert sorted(text for text in tokenised if text) == ["a blue square", "a red circle"]


def test_similarity_is_the_models_score_of_texts_and_bags_alike(
    encoder: VideoColBERTEncoder, clips: list[VideoClip]
) -> None:
    texts = ["a red circle grows", "a blue square"]
    inputs = encoder.processor(text=texts, videos=[clip.source for clip in clips])
    with torch.no_grad():
        expected = encoder.model(**inputs).scores
    found = encoder.similarity(texts, [clip.source for clip in clips])
    assert found.shape == (2, 4)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    encoded = good(list(encoder.encode_videos(clips)))
    assert torch.equal(encoder.similarity(encoder.encode_queries(texts), encoded), found)
    assert torch.equal(encoder.similarity(texts, [encoded[0], clips[1], str(clips[2].source), encoded[3]]), found)
    assert torch.allclose(encoder.similarity(texts[1], clips[2]), found[1:, 2:3], atol=1e-5)
    assert encoder.similarity(texts, []).shape == (2, 0)
    weighted = encoder.encode_queries(texts).with_level_weights({"video": 0.0})
    by_frames = encoder.similarity(weighted, encoded)
    for row, column in itertools.product(range(2), range(4)):
        bags = weighted.bags_of("frame")
        best = (bags.embeds[row][bags.mask[row]] @ encoded[column].embeds["frame"].T).amax(dim=1)
        assert float(by_frames[row, column]) == pytest.approx(float(best.mean()), abs=1e-5)


def test_reranking_gives_hits_in_the_order_of_the_scores(encoder: VideoColBERTEncoder, clips: list[VideoClip]) -> None:
    scores = encoder.similarity("a red circle", clips)[0]
    hits = encoder.rerank("a red circle", clips)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    order = scores.argsort(descending=True).tolist()
    assert [hit.video for hit in hits] == [str(clips[place].source) for place in order]
    assert [hit.score for hit in hits] == pytest.approx(scores[order].tolist(), abs=1e-6)
    assert (hits.query, hits.model) == ("a red circle", encoder.reference.name)
    best = hits[0]
    assert best.score == pytest.approx(sum(best.level_scores.values()), abs=1e-6)
    assert [moment.word for moment in best.moments] == ["a", "red", "circle"]
    [video] = good(list(encoder.encode_videos(best.video)))
    assert {moment.time for moment in best.moments} <= set(video.timestamps.tolist())
    assert encoder.rerank(encoder.encode_queries("a red circle"), clips, top_k=2) == hits[:2]
    window = VideoClip(clips[0].source, start=1.0, end=2.0)
    [hit] = encoder.rerank("a red circle", window)
    assert (hit.start, hit.end) == (1.0, 2.0)
    assert encoder.rerank("a red circle", []) == []
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        encoder.rerank("x", clips, top_k=0)
    with pytest.raises(ValueError, match="rerank takes one text, got 2"):
        encoder.rerank(["x", "y"], clips)  # type: ignore[arg-type]


def test_a_bad_video_is_an_error_that_names_it(
    encoder: VideoColBERTEncoder, clips: list[VideoClip], tmp_path: Path
) -> None:
    bad = write_bad_files(tmp_path)
    for score in (encoder.similarity, encoder.rerank):
        with pytest.raises(VideoDecodingError, match=rf"{bad['text'].name}: "):
            score("a red circle", [clips[0], bad["text"], clips[1]])
    with pytest.raises(VideoDecodingError, match=r"none\.mp4: there is no such file"):
        encoder.similarity("a red circle", "none.mp4")


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
    assert [(word.word, word.token_positions) for word in queries.bags_of("frame").words[0]] == [("red circle", [0])]
    assert queries.level_weights == {"frame": 1.0}


def test_phrases_of_a_zero_shot_query_point_where_they_match_and_change_no_score(
    clip_backbone_folder: Path, clips: list[VideoClip]
) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(clip_backbone_folder)
    texts = ["a red circle and a blue square", "blue square"]
    queries = encoder.encode_queries(texts)
    alone = encoder.encode_queries(texts, phrases=False).bags_of("frame")
    assert torch.equal(queries.bags_of("frame").embeds, alone.embeds)
    assert alone.phrase_embeds is None
    [video] = good(list(encoder.encode_videos(clips[0])))
    [hit] = encoder.rerank(texts[0], [video])
    assert [moment.word for moment in hit.moments] == ["red circle", "blue square"]
    for moment in hit.moments:
        similarities = video.embeds["frame"] @ encoder.encode_queries(moment.word).bags_of("frame").embeds[0, 0]
        assert moment.time == float(video.timestamps[int(similarities.argmax())])
        assert moment.similarity == pytest.approx(float(similarities.max()), abs=1e-5)
    assert [word.word for word in queries.select([1]).bags_of("frame").words[0]] == ["blue square"]
    of_second = queries.select([1]).to("cpu").bags_of("frame").phrase_embeds
    assert of_second is not None
    torch.testing.assert_close(of_second[0, 0], queries.bags_of("frame").embeds[1, 0], atol=1e-5, rtol=0)


def test_trained_checkpoint_is_not_zero_shot(encoder: VideoColBERTEncoder) -> None:
    assert not encoder.is_zero_shot
    assert encoder.num_frames == 6


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
