from __future__ import annotations

import numpy as np
import pytest
import torch

from video_colbert.index.search.axis_bits import MOST_BITS, allocate_bits, fitted_axes, normal_axes, normal_levels


def water_filling(variances: np.ndarray, total: float) -> np.ndarray:
    """Bits by axis, not whole, that lose least: all axes down to one loss, found by bisection."""
    low, high = 1e-30, float(variances.max())
    for _ in range(200):
        level = (low * high) ** 0.5
        bits = np.maximum(0.0, 0.5 * np.log2(variances / level))
        low, high = (low, level) if bits.sum() < total else (level, high)
    return bits


@pytest.mark.parametrize(("bits", "last", "loss"), [(1, 0.7980, 0.3634), (2, 1.510, 0.1175), (4, 2.733, 0.009497)])
def test_levels_of_a_normal_distribution_are_those_of_max(bits: int, last: float, loss: float) -> None:
    levels, lost = normal_levels(bits)
    assert levels.shape == (2**bits,)
    assert torch.allclose(levels, -levels.flip(0), atol=1e-9)
    assert float(levels[-1]) == pytest.approx(last, abs=5e-4)
    assert lost == pytest.approx(loss, rel=1e-3)


def test_each_bit_saves_less_than_the_one_before() -> None:
    losses = np.array([normal_levels(bits)[1] for bits in range(MOST_BITS + 1)])
    assert (np.diff(losses, 2) > 0).all()
    assert losses[10] < 5e-6


@pytest.mark.parametrize("total", [40, 130, 300])
def test_bits_are_those_of_water_filling_to_a_bit(total: int) -> None:
    variances = torch.rand(64, generator=torch.Generator().manual_seed(0)).double() ** 4
    bits = allocate_bits(normal_axes(torch.zeros(64), variances)[1], total).numpy()
    assert bits.sum() == total
    assert np.abs(bits - water_filling(variances.numpy(), total)).max() < 1.1


def test_no_axis_gets_more_than_ten_bits_and_like_ones_get_as_many() -> None:
    losses = normal_axes(torch.zeros(3), torch.tensor([1e12, 1.0, 1e-12]).double())[1]
    assert allocate_bits(losses, 30).tolist() == [10, 10, 10]
    assert allocate_bits(losses, 12).tolist() == [10, 2, 0]
    alike = normal_axes(torch.zeros(512), torch.ones(512).double())[1]
    assert set(allocate_bits(alike, 4 * 512).tolist()) == {4}


def test_a_bit_that_saves_more_than_the_one_before_is_given_after_it() -> None:
    losses = torch.tensor([[1.0, 0.9, 0.0, *[0.0] * 8], [1.0, 0.6, 0.4, *[0.4] * 8]]).double().T
    assert allocate_bits(losses, 1).tolist() == [0, 1]
    assert allocate_bits(losses, 3).tolist() == [1, 2]


def test_fitted_levels_are_the_means_of_what_is_nearest_and_of_normal_numbers_those_of_max() -> None:
    numbers = torch.randn(20_000, 70, generator=torch.Generator().manual_seed(0)).double()
    numbers[:, 1] = numbers[:, 1].sign() * (3 + 0.1 * numbers[:, 1])
    levels, losses = fitted_axes(numbers, torch.tensor([4, 3, *[2] * 67, 3]))
    for axis in (0, 1, 69):
        for bits in (0, 1, 3):
            of_axis = levels[bits][axis]
            nearest = (numbers[:, axis, None] - of_axis).abs().argmin(dim=1)
            means = torch.stack([numbers[nearest == number, axis].mean() for number in range(2**bits)])
            assert torch.allclose(of_axis, means, atol=0.02)
            lost = (numbers[:, axis] - of_axis[nearest]).square().mean()
            assert float(losses[bits, axis]) == pytest.approx(float(lost), rel=0.01)
    assert losses[4, 0] == pytest.approx(0.009497, rel=0.05)
    # The last axes were wanted for 3 bits only.
    assert losses[3, 69] == losses[10, 69]
    assert levels[5].shape == (70, 32)
    # Two heaps are named by one bit.
    assert losses[1, 1] < 0.02


def test_numbers_that_are_all_the_same_have_levels() -> None:
    levels, losses = fitted_axes(torch.full((100, 2), 0.5), torch.tensor([10, 10]))
    assert all(torch.isfinite(of_bits).all() for of_bits in levels)
    assert losses.abs().max() < 1e-12
