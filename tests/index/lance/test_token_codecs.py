from __future__ import annotations

import pytest
import torch

from tests.index.made_tokens import make_bags, unit_vectors
from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.token_codecs import CODEC_NAMES, CompactCodec, TokenCodec, encode_bags, token_codec
from video_colbert.index.search.transform_code import TransformCode


def unit_tokens(width: int, number: int = 400) -> torch.Tensor:
    return unit_vectors(torch.Generator().manual_seed(0), number, width)


def codec_for(name: str, tokens: torch.Tensor) -> TokenCodec:
    if name != "compact":
        return token_codec(name)
    return CompactCodec({7: TransformCode.learn(tokens, CompactCodec.code_bytes(tokens.shape[1]))}, 7)


@pytest.mark.parametrize("width", [64, 96, 512])
@pytest.mark.parametrize(
    ("name", "bits", "beside", "largest_loss"),
    [("float16", 16, 0, 5e-4), ("int8", 8, 2, 0.01), ("compact", 4, 1, 0.2)],
)
def test_codecs_take_the_bytes_they_say_and_lose_little(
    name: str, bits: int, beside: int, largest_loss: float, width: int
) -> None:
    tokens = unit_tokens(width)
    codec = codec_for(name, tokens)
    stored = codec.encode(tokens)
    assert stored.dtype == torch.uint8
    assert stored.shape == (400, codec.bytes_per_token(width))
    assert codec.bytes_per_token(width) == width * bits // 8 + beside
    decoded = codec.decode(stored, width)
    assert decoded.dtype == torch.float16
    losses = (decoded.float() - tokens).norm(dim=1)
    assert 0 < float(losses.mean()) < largest_loss


def test_compact_tokens_are_decoded_by_the_code_that_they_name() -> None:
    tokens = unit_tokens(16)
    codes = {3: TransformCode.learn(tokens[:200], 8), 250: TransformCode.learn(tokens[200:], 8)}
    old, new = CompactCodec(codes, 3).encode(tokens), CompactCodec(codes, 250).encode(tokens)
    mixed = torch.stack([old, new], dim=1).flatten(0, 1)
    decoded = CompactCodec(codes).decode(mixed, 16)
    assert torch.equal(decoded[::2], codes[3].decode(codes[3].encode(tokens)).half())
    assert torch.equal(decoded[1::2], codes[250].decode(codes[250].encode(tokens)).half())


def test_compact_tokens_without_their_code_are_an_error() -> None:
    tokens = unit_tokens(16)
    stored = codec_for("compact", tokens).encode(tokens)
    with pytest.raises(IndexStoreError, match="of 16 numbers that are stored by the code 7, which is not there"):
        CompactCodec({8: TransformCode.learn(tokens, 8)}).decode(stored, 16)
    with pytest.raises(IndexStoreError, match="stored by the code 7"):
        CompactCodec({7: TransformCode.learn(unit_tokens(15), 8)}).decode(stored, 16)
    with pytest.raises(ValueError, match="has learned no code"):
        CompactCodec().encode(tokens)


@pytest.mark.parametrize("name", CODEC_NAMES)
def test_no_tokens_stay_none_and_zeros_zeros(name: str) -> None:
    assert token_codec(name).decode(token_codec(name).encode(torch.zeros(0, 64)), 64).shape == (0, 64)
    codec = codec_for(name, torch.cat([torch.zeros(50, 64), unit_tokens(64, 50)]))
    assert codec.decode(codec.encode(torch.zeros(2, 64)), 64).abs().max() < 0.1


@pytest.mark.parametrize("name", CODEC_NAMES)
def test_bags_keep_their_lengths_and_a_second_storing_changes_little(name: str) -> None:
    bags = make_bags([3, 0, 5], 64)
    codec = codec_for(name, bags.tokens)
    once = encode_bags(codec, bags)
    assert torch.equal(once.offsets, bags.offsets)
    twice = encode_bags(codec, once)
    assert (twice.tokens - once.tokens).abs().max() <= (once.tokens - bags.tokens).abs().max() + 1e-3


def test_bad_names_widths_and_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be one of float16, int8, compact, float32; got 'pq'"):
        token_codec("pq")
    with pytest.raises(ValueError, match="takes 66 bytes with the codec int8, not 64"):
        token_codec("int8").decode(torch.zeros(2, 64, dtype=torch.uint8), 64)


def test_float32_keeps_every_bit() -> None:
    tokens = unit_tokens(64, 20)
    codec = token_codec("float32")
    assert torch.equal(codec.decode(codec.encode(tokens), 64), tokens)
    assert codec.bytes_per_token(64) == 256
