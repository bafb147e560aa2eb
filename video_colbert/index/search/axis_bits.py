"""Bits for the axes of a transform code: how many each axis gets, and the levels that they name.

An axis of variance v that gets b bits loses about v / 4^b in the mean square, so what all axes lose is least where
bits are given as reverse water-filling says (Cover and Thomas, "Elements of Information Theory", section 10.3.3): down
to one level of loss that is the same for all axes, and none to axes below it. In whole bits: each next bit goes to the
axis where it saves most.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

MOST_BITS = 10
"""Bits that an axis gets at most."""

# Rounds of Lloyd's algorithm: for a normal distribution, and for the numbers of a sample.
_NORMAL_ROUNDS = 300
_ROUNDS = 10
# Axes whose levels are found at once.
_AXES = 64


@functools.cache
def normal_levels(bits: int) -> tuple[Tensor, float]:
    """The levels that lose least of a normal distribution of variance 1, and what they lose.

    Each level is the mean of what is nearest to it (Lloyd's condition; Max, "Quantizing for minimum distortion", IRE
    Transactions on Information Theory 6(1), 1960).

    Args:
        bits: 0 to `MOST_BITS`.

    Returns:
        float64 [2^bits], increasing, and the mean squared error.
    """
    number = 2**bits
    if number == 1:
        return torch.zeros(1, dtype=torch.float64), 1.0
    # Panter and Dite's density of levels, the cube root of that of the numbers, is near enough to begin with.
    levels = math.sqrt(3) * torch.special.ndtri((torch.arange(number, dtype=torch.float64) + 0.5) / number)
    edge = torch.tensor([math.inf], dtype=torch.float64)
    for _ in range(_NORMAL_ROUNDS):
        borders = torch.cat([-edge, (levels[1:] + levels[:-1]) / 2, edge])
        shares = torch.special.ndtr(borders).diff()
        density = torch.exp(-borders.square() / 2) / math.sqrt(2 * math.pi)
        levels = -density.diff() / shares
    return levels, 1.0 - float((shares * levels.square()).sum())


def normal_axes(means: Tensor, variances: Tensor) -> tuple[list[Tensor], Tensor]:
    """Levels of axes whose numbers are normally distributed.

    Args:
        means: float64 [A].
        variances: float64 [A].

    Returns:
        As `fitted_axes`.
    """
    of_bits = [normal_levels(bits) for bits in range(MOST_BITS + 1)]
    levels = [means[:, None] + variances.sqrt()[:, None] * of_normal for of_normal, _ in of_bits]
    return levels, torch.stack([variances * loss for _, loss in of_bits])


def fitted_axes(numbers: Tensor, most_bits: Tensor) -> tuple[list[Tensor], Tensor]:
    """Levels of axes that lose least of a sample, by Lloyd's algorithm.

    The levels of one more bit begin where those of one less are split, as in Linde, Buzo and Gray, "An algorithm for
    vector quantizer design", IEEE Transactions on Communications 28(1), 1980.

    Args:
        numbers: float [n, A].
        most_bits: int64 [A], bits up to which levels are wanted of each axis.

    Returns:
        By number of bits, from 0, the levels, float64 [A, 2^bits], increasing along each axis, and what they lose of
        it in the mean square, float64 [MOST_BITS + 1, A]. Where more bits are not wanted, they save nothing.
    """
    levels: list[list[Tensor]] = [[] for _ in range(MOST_BITS + 1)]
    losses = []
    for first in range(0, numbers.shape[1], _AXES):
        wanted = int(most_bits[first : first + _AXES].max())
        ordered = numbers[:, first : first + _AXES].T.double().sort(dim=1).values.contiguous()
        of_bits, lost = _fitted(ordered, wanted)
        losses.append(torch.cat([lost, lost[-1:].expand(MOST_BITS - wanted, -1)]))
        for bits in range(MOST_BITS + 1):
            # Bits that are given though they save nothing name the same levels twice.
            levels[bits].append(of_bits[min(bits, wanted)].repeat_interleave(2 ** max(0, bits - wanted), dim=1))
    return [torch.cat(parts) for parts in levels], torch.cat(losses, dim=1)


def allocate_bits(losses: Tensor, total: int) -> Tensor:
    """Gives bits to axes, each where it saves most.

    Args:
        losses: float64 [MOST_BITS + 1, A], what each axis loses by the bits it gets.
        total: bits to give, at most `MOST_BITS` an axis.

    Returns:
        int64 [A], the bits of each axis.
    """
    # Where a bit saves more than the one before, they count alike, so that no axis gets the second without the first.
    saved = torch.cummin(-losses.diff(dim=0), dim=0).values
    chosen = saved.T.flatten().argsort(descending=True, stable=True)[:total] // MOST_BITS
    return torch.bincount(chosen, minlength=losses.shape[1])


def _fitted(ordered: Tensor, most_bits: int) -> tuple[list[Tensor], Tensor]:
    """The levels of some axes whose numbers, float64 [A, n], increase."""
    number = ordered.shape[1]
    none = ordered.new_zeros(len(ordered), 1)
    sums = torch.cat([none, ordered.cumsum(1)], 1)
    squares = torch.cat([none, ordered.square().cumsum(1)], 1)
    levels = sums[:, -1:] / number
    of_bits, losses = [levels], [squares[:, -1] / number - levels[:, 0].square()]
    ends = torch.tensor([[0, number]]).expand(len(ordered), 2)
    for _ in range(most_bits):
        counts = ends.diff(dim=1).clamp(min=1)
        spread = squares.gather(1, ends).diff(dim=1) / counts - (sums.gather(1, ends).diff(dim=1) / counts).square()
        step = 0.8 * spread.clamp(min=0.0).sqrt()
        levels = torch.stack([levels - step, levels + step], dim=2).flatten(1).sort(dim=1).values
        for _ in range(_ROUNDS):
            inner = torch.searchsorted(ordered, (levels[:, 1:] + levels[:, :-1]) / 2)
            ends = torch.cat([torch.zeros_like(inner[:, :1]), inner, torch.full_like(inner[:, :1], number)], dim=1)
            counts, of_level = ends.diff(dim=1), sums.gather(1, ends).diff(dim=1)
            # A level that is nearest to no number stays.
            levels = torch.where(counts > 0, of_level / counts.clamp(min=1), levels).sort(dim=1).values
        of_bits.append(levels)
        # Each level is the mean of its numbers.
        losses.append((squares[:, -1] - (counts * levels.square()).sum(dim=1)) / number)
    return of_bits, torch.stack(losses).clamp(min=0.0)
