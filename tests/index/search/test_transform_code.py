from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.index.search.transform_code import TransformCode


def made_tokens(number: int, width: int, decay: float, seed: int = 0) -> Tensor:
    """Tokens of unit length whose numbers, turned, have deviations that fall by a factor."""
    generator = torch.Generator().manual_seed(seed)
    turned = torch.randn(number, width, generator=generator) * decay ** torch.arange(width) + 0.3
    turn = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(99))).Q
    return F.normalize(turned @ turn, dim=1)


def decoded_by_hand(code: TransformCode, stored: Tensor) -> np.ndarray:
    """A token at a time, an axis at a time."""
    decoded = []
    for token in stored.tolist():
        bits = "".join(f"{byte:08b}"[::-1] for byte in token)
        value = code.offset.numpy().astype(float)
        for axis, levels in enumerate(code.levels):
            size = int(np.log2(len(levels)))
            number, bits = int(bits[:size][::-1], 2), bits[size:]
            value = value + float(levels[number]) * code.axes[:, axis].numpy().astype(float)
        decoded.append(value * (code.length / np.linalg.norm(value) if code.length else 1.0))
    return np.stack(decoded)


@pytest.mark.parametrize(("width", "num_bytes", "decay"), [(24, 5, 0.7), (24, 12, 0.9), (16, 16, 1.0), (9, 1, 0.5)])
def test_decoded_tokens_are_what_their_bits_say_and_the_nearest_that_bits_can_say(
    width: int, num_bytes: int, decay: float
) -> None:
    tokens = made_tokens(3000, width, decay)
    code = TransformCode.learn(tokens, num_bytes)
    stored = code.encode(tokens[:50])
    assert (stored.shape, stored.dtype) == ((50, num_bytes), torch.uint8)
    assert code.decode(stored).numpy() == pytest.approx(decoded_by_hand(code, stored), abs=1e-5)
    assert torch.equal(code.encode(tokens)[:50], stored)
    # Of all levels of an axis, the nearest one to the token's number on it.
    turned, said = tokens[:50].double() @ code.axes.double(), code.decode_axes(stored).double()
    for axis, levels in enumerate(code.levels):
        nearest = (turned[:, axis, None] - levels.double()).abs().min(dim=1).values
        assert torch.allclose((turned[:, axis] - said[:, axis]).abs(), nearest, atol=1e-5)


def test_axes_are_the_leading_eigenvectors_of_the_second_moment() -> None:
    tokens = made_tokens(4000, 24, 0.6)
    code = TransformCode.learn(tokens, 3)
    numbers = tokens.numpy().astype(float)
    leading = np.linalg.eigh(numbers.T @ numbers).eigenvectors[:, ::-1][:, : len(code.levels)]
    inside = np.linalg.norm(leading.T @ code.axes.numpy().astype(float), axis=0)
    assert inside == pytest.approx(1.0, abs=1e-3)


def test_less_is_lost_than_by_as_many_bits_for_every_axis() -> None:
    tokens, new = made_tokens(8000, 32, 0.8), made_tokens(1000, 32, 0.8, seed=1)
    code = TransformCode.learn(tokens, 8)
    # Two bits for every number, by the levels that are best for a normal distribution.
    deviations = tokens.std(dim=0)
    levels = torch.tensor([-1.510, -0.4528, 0.4528, 1.510])
    numbers = (new - tokens.mean(dim=0)) / deviations
    lost = ((numbers - levels[(numbers[:, :, None] - levels).abs().argmin(dim=2)]) * deviations).square().sum()
    assert code.lost_share(new) < 0.2 * float(lost / new.square().sum())


def test_of_tokens_in_all_directions_alike_no_more_is_lost_than_rounding_numbers_loses() -> None:
    tokens = F.normalize(torch.randn(20_000, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    code = TransformCode.learn(tokens[:16_000], 32)
    # 4 bits a number: Max's loss for a normal distribution, and little above for what was learned.
    assert code.lost_share(tokens[16_000:]) < 1.05 * 0.009497


def test_a_small_sample_says_little_of_directions_that_it_does_not_have() -> None:
    tokens = F.normalize(torch.randn(3000, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    assert TransformCode.learn(tokens[:100], 32).lost_share(tokens[100:]) < 0.012
    assert TransformCode.learn(tokens[:1], 32).lost_share(tokens) < 0.1
    few_axes = made_tokens(1100, 64, 0.8)
    assert TransformCode.learn(few_axes[:100], 8).lost_share(few_axes[100:]) < 0.03


def test_learned_levels_lose_less_than_normal_ones_where_numbers_are_not_normal() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(9000, 4, generator=generator).sign() * torch.tensor([1.0, 0.5, 0.3, 0.2])
    assert TransformCode.learn(tokens, 1).lost_share(tokens) < 0.05
    assert TransformCode.learn(tokens, 2).lost_share(tokens) < 1e-3


def test_what_is_lost_of_other_tokens_tells_that_they_changed() -> None:
    tokens, others = made_tokens(4000, 32, 0.7), made_tokens(500, 32, 0.7).flip(1)
    code = TransformCode.learn(tokens, 8)
    decoded = code.decode(code.encode(others))
    expected = float((decoded - others).square().sum() / others.square().sum())
    assert code.lost_share(others) == pytest.approx(expected, rel=1e-5)
    assert code.lost_share(others) > 10 * code.lost_share(tokens)
    assert code.lost_share(others[:0]) == 0.0


def test_a_code_is_the_same_after_it_was_stored() -> None:
    tokens = made_tokens(2000, 24, 0.8)
    code = TransformCode.learn(tokens, 7)
    again = TransformCode.from_bytes(code.to_bytes())
    assert again.to_bytes() == code.to_bytes()
    assert (again.width, again.num_bytes) == (24, 7)
    stored = code.encode(tokens)
    assert torch.equal(again.encode(tokens), stored)
    assert torch.equal(again.decode(stored), code.decode(stored))


def test_a_stored_code_that_was_changed_or_cut_is_refused() -> None:
    stored = TransformCode.learn(made_tokens(200, 8, 0.8), 3).to_bytes()
    for place in range(len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match="is not what was written"):
            TransformCode.from_bytes(bytes(changed))
        with pytest.raises(ValueError, match="is not what was written"):
            TransformCode.from_bytes(stored[:place])


def test_no_tokens_tokens_of_zeros_and_tokens_that_are_all_the_same_are_encoded() -> None:
    code = TransformCode.learn(made_tokens(500, 8, 0.8), 3)
    assert code.decode(code.encode(torch.zeros(0, 8))).shape == (0, 8)
    for same in (torch.zeros(20, 8), F.normalize(torch.ones(20, 8), dim=1)):
        again = TransformCode.learn(same, 3)
        assert (again.decode(again.encode(same)) - same).abs().max() < 0.2


def test_tokens_of_one_length_keep_it_and_others_are_refused_or_learned() -> None:
    tokens = made_tokens(500, 8, 0.8)
    code = TransformCode.learn(tokens, 3)
    assert torch.allclose(code.decode(code.encode(tokens)).norm(dim=1), torch.ones(500), atol=1e-3)
    halves = torch.cat([tokens, tokens / 2])
    with pytest.raises(ValueError, match="of tokens of length 1, and one has another length"):
        code.encode(halves)
    assert code.lost_share(halves) > 0.05
    again = TransformCode.learn(halves, 8)
    assert again.lost_share(halves) < 0.001


def test_what_cannot_be_encoded_is_said() -> None:
    tokens = made_tokens(100, 8, 0.8)
    code = TransformCode.learn(tokens, 3)
    for num_bytes in (0, 9):
        with pytest.raises(ValueError, match=f"8 numbers takes 1 to 8 bytes, not {num_bytes}"):
            TransformCode.learn(tokens, num_bytes)
    with pytest.raises(ValueError, match="at least one token"):
        TransformCode.learn(tokens[:0], 3)
    with pytest.raises(ValueError, match="not finite"):
        TransformCode.learn(torch.full((3, 8), torch.nan), 3)
    with pytest.raises(ValueError, match="not finite"):
        code.encode(torch.full((3, 8), torch.inf))
    with pytest.raises(ValueError, match="tokens of 8 numbers, not 4"):
        code.encode(tokens[:, :4])
    with pytest.raises(ValueError, match="takes 3 bytes with this code, not 2"):
        code.decode(code.encode(tokens)[:, :2])
