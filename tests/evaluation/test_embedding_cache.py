from __future__ import annotations

import dataclasses
import random
import resource
from pathlib import Path

import pytest
import torch

from tests.video_files import write_clip
from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import PretrainedPair
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import EncodingError
from video_colbert.evaluation.embedding_cache import EmbeddingCache
from video_colbert.evaluation.encoded_split import encode_rows, encode_split


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, object]]:
    return [
        {
            "video_id": str(number),
            "video": str(write_clip(tmp_path / f"clips/{number}.mp4", number)),
            "captions": [f"a man rides {number}", "a circle grows"],
            "start": None,
            "end": 1.5 if number == 1 else None,
        }
        for number in range(3)
    ]


@pytest.fixture
def calls(encoder: VideoColBERTEncoder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was decoded, and the text tower's runs."""
    made: list[str] = []
    decode, get_text_features = ClipDecoder.decode, encoder.model.get_text_features

    def counted_decode(decoder: ClipDecoder, clip: VideoClip) -> DecodedClip | BadVideo:
        made.append("video")
        return decode(decoder, clip)

    def counted_text(*arguments: object, **named: object) -> object:
        made.append("text")
        return get_text_features(*arguments, **named)

    monkeypatch.setattr(ClipDecoder, "decode", counted_decode)
    monkeypatch.setattr(encoder.model, "get_text_features", counted_text)
    return made


def test_second_run_decodes_and_encodes_nothing_and_gives_the_same(
    tmp_path: Path, encoder: VideoColBERTEncoder, rows: list[dict[str, object]], calls: list[str]
) -> None:
    plain = encode_split(encoder, rows)
    first = encode_split(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
    calls.clear()
    cache = EmbeddingCache(tmp_path / "cache", encoder)
    second = encode_split(encoder, rows, cache=cache)
    assert calls == []
    assert cache.hits == 3
    for split in (first, second):
        for level, expected in plain.levels.items():
            assert torch.equal(split.levels[level].embeds, expected.embeds)
            assert torch.equal(split.levels[level].mask, expected.mask)
        for encoder_name, expected_bags in plain.queries.bags.items():
            bags = split.queries.bags[encoder_name]
            assert torch.equal(bags.embeds, expected_bags.embeds)
            assert torch.equal(bags.mask, expected_bags.mask)
            assert bags.words == expected_bags.words
        for field in dataclasses.fields(plain.queries):
            if field.name != "bags":
                assert getattr(split.queries, field.name) == getattr(plain.queries, field.name), field.name


def test_only_what_changed_is_encoded_again(
    tmp_path: Path, encoder: VideoColBERTEncoder, rows: list[dict[str, object]], calls: list[str]
) -> None:
    first = encode_rows(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
    write_clip(tmp_path / "clips/0.mp4", 77)
    rows[1]["end"] = 2.0
    rows[2]["video"] = str(Path(str(rows[2]["video"])).rename(tmp_path / "moved.mp4"))
    rows.append({"video_id": "gone", "video": None, "captions": ["x"], "start": None, "end": None})
    calls.clear()
    second = encode_rows(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
    assert calls == ["video", "video"]
    assert isinstance(second[3], BadVideo)
    for place, same in ((0, False), (1, False), (2, True)):
        before, after = first[place], second[place]
        assert isinstance(before, EncodedVideo)
        assert isinstance(after, EncodedVideo)
        assert (before.timestamps.tolist() == after.timestamps.tolist()) == (place != 1)
        assert torch.equal(before.embeds["frame"], after.embeds["frame"]) == same


def test_cache_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, encoder: VideoColBERTEncoder, rows: list[dict[str, object]]
) -> None:
    cache = EmbeddingCache(tmp_path / "cache", encoder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(EncodingError, match=r"\.safetensors cannot be written: File too large"):
            encode_rows(encoder, rows, cache=cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_other_settings_use_other_embeddings_and_damage_is_mended(
    tmp_path: Path,
    encoder: VideoColBERTEncoder,
    rows: list[dict[str, object]],
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    encode_rows(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
    calls.clear()
    monkeypatch.setattr(encoder.processor.video_processor, "num_frames", 3)
    (other, *_) = encode_rows(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
    assert isinstance(other, EncodedVideo)
    assert len(other.embeds["frame"]) == 3
    assert len(calls) == 3
    calls.clear()
    files = sorted((tmp_path / "cache").rglob("*.safetensors"))
    assert len(files) == 6
    for file in files:
        file.write_bytes(file.read_bytes()[:50])
    encode_rows(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
    assert len(calls) == 3
    assert "is damaged" in caplog.text
    other_weights = ModelReference(encoder.reference.name, "another")
    retrained = VideoColBERTEncoder(PretrainedPair(encoder.model, encoder.processor, other_weights))
    encode_rows(retrained, rows, cache=EmbeddingCache(tmp_path / "cache", retrained))
    assert len(calls) == 6


def test_an_embedding_of_which_any_bit_changed_is_made_anew(
    tmp_path: Path,
    encoder: VideoColBERTEncoder,
    rows: list[dict[str, object]],
    calls: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = encode_split(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
    files = sorted((tmp_path / "cache").rglob("*.safetensors"))
    generator = random.Random(0)
    for _ in range(10):
        for file in files:
            content = bytearray(file.read_bytes())
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
            file.write_bytes(content)
        calls.clear()
        caplog.clear()
        again = encode_split(encoder, rows, cache=EmbeddingCache(tmp_path / "cache", encoder))
        assert sorted(calls) == ["text", "video", "video", "video"]
        assert caplog.text.count("is made anew") == len(files)
        for level, expected in plain.levels.items():
            assert torch.equal(again.levels[level].embeds, expected.embeds)
