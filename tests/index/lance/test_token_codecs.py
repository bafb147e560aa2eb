from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from tests.index.made_tokens import make_bags, unit_vectors
from video_colbert.index.lance.token_codecs import CODEC_NAMES, encode_bags, token_codec


def unit_tokens(width: int, number: int = 400) -> torch.Tensor:
    return unit_vectors(torch.Generator().manual_seed(0), number, width)


@pytest.mark.parametrize("width", [64, 96, 512, 768])
@pytest.mark.parametrize(
    ("name", "bits", "largest_loss"), [("float16", 16, 5e-4), ("int8", 8, 0.01), ("int4", 4, 0.1)]
)
def test_codecs_take_the_bytes_they_say_and_lose_little(name: str, bits: int, largest_loss: float, width: int) -> None:
    tokens, codec = unit_tokens(width), token_codec(name)
    stored = codec.encode(tokens)
    assert stored.dtype == torch.uint8
    assert stored.shape == (400, codec.bytes_per_token(width))
    assert codec.bytes_per_token(width) == width * bits // 8 + (0 if name == "float16" else 2)
    decoded = codec.decode(stored, width)
    assert decoded.dtype == torch.float16
    losses = (decoded.float() - tokens).norm(dim=1)
    assert 0 < float(losses.mean()) < largest_loss


def test_four_bits_lose_what_max_found_for_a_normal_distribution() -> None:
    tokens = unit_tokens(512, 2000)
    codec = token_codec("int4")
    losses = (codec.decode(codec.encode(tokens), 512).float() - tokens).square().sum(dim=1)
    # Table I: a mean squared error of 0.009497 of the variance at 16 levels.
    assert float(losses.mean()) == pytest.approx(0.009497, rel=0.03)


def test_rotation_saves_tokens_with_a_few_large_numbers() -> None:
    tokens = unit_tokens(512)
    tokens[:, :3] += torch.tensor([2.0, -1.5, 3.0])
    tokens = torch.nn.functional.normalize(tokens, dim=1)
    codec = token_codec("int4")
    losses = (codec.decode(codec.encode(tokens), 512).float() - tokens).norm(dim=1)
    assert float(losses.mean()) < 0.11


def decoded_by_numpy(stored: np.ndarray, width: int) -> np.ndarray:
    """What 4-bit codes and a scale stand for: levels of Max's table, turned by a Hadamard matrix and random signs."""
    positive = np.array([0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733])
    levels = np.concatenate([-positive[::-1], positive])
    codes = np.stack([stored[: width // 2] & 15, stored[: width // 2] >> 4], axis=1).reshape(-1)
    scale = np.frombuffer(stored[width // 2 :].tobytes(), np.float16).astype(float)
    hadamard = np.ones((1, 1))
    while width % (2 * len(hadamard)) == 0:
        hadamard = np.kron([[1, 1], [1, -1]], hadamard) / 2**0.5
    digests = b"".join(hashlib.sha256(f"rotation {number}".encode()).digest() for number in range(-(-width // 256)))
    bits = np.unpackbits(np.frombuffer(digests, np.uint8), bitorder="little")[:width]
    turned = (levels[codes] * scale).reshape(-1, len(hadamard)) @ hadamard
    return turned.reshape(-1) * (1.0 - 2.0 * bits)


@pytest.mark.parametrize("width", [2, 48, 64, 768])
def test_four_bit_tokens_are_what_their_bytes_say_for_ever(width: int) -> None:
    codec = token_codec("int4")
    generator = torch.Generator().manual_seed(0)
    stored = torch.randint(0, 256, (20, codec.bytes_per_token(width)), generator=generator, dtype=torch.uint8)
    # Two bytes at random may be no number.
    stored[:, -2:] = torch.tensor([1.25]).half().view(torch.uint8)
    expected = np.stack([decoded_by_numpy(row, width) for row in stored.numpy()])
    assert codec.decode(stored, width).numpy() == pytest.approx(expected, abs=5e-3, rel=2e-3)


@pytest.mark.parametrize("width", [48, 64, 768])
def test_four_bits_change_lengths_and_angles_little(width: int) -> None:
    tokens = unit_tokens(width)
    codec = token_codec("int4")
    decoded = codec.decode(codec.encode(tokens), width).float()
    assert (decoded.norm(dim=1) - 1).abs().max() < 0.05
    assert (decoded @ decoded.T - tokens @ tokens.T).abs().mean() < 0.02


@pytest.mark.parametrize("name", CODEC_NAMES)
def test_zeros_stay_zeros_and_no_tokens_stay_none(name: str) -> None:
    codec = token_codec(name)
    assert codec.decode(codec.encode(torch.zeros(2, 64)), 64).abs().max() < 1e-3
    assert codec.decode(codec.encode(torch.zeros(0, 64)), 64).shape == (0, 64)


@pytest.mark.parametrize("name", CODEC_NAMES)
def test_bags_keep_their_lengths_and_a_second_storing_changes_little(name: str) -> None:
    bags = make_bags([3, 0, 5], 64)
    once = encode_bags(token_codec(name), bags)
    assert torch.equal(once.offsets, bags.offsets)
    twice = encode_bags(token_codec(name), once)
    assert (twice.tokens - once.tokens).abs().max() <= (once.tokens - bags.tokens).abs().max() + 1e-3


def test_bad_names_widths_and_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be one of float16, int8, int4; got 'pq'"):
        token_codec("pq")
    with pytest.raises(ValueError, match="width must be even, not 7"):
        token_codec("int4").encode(torch.zeros(2, 7))
    with pytest.raises(ValueError, match="takes 66 bytes with the codec int8, not 64"):
        token_codec("int8").decode(torch.zeros(2, 64, dtype=torch.uint8), 64)
