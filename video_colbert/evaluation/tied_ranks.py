"""Exact expectations of a rank when tied scores are put in random order.

A query's first positive stands below `better` negatives and shares its score with `negatives` negatives and
`positives - 1` other positives. Its rank is `better + 1 + X`, X being the number of those negatives that a
random order of the tied items puts before the first positive (a negative hypergeometric variable).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# Below this, a tail probability adds less to a rank than double precision keeps.
_NEGLIGIBLE_LOG_PROBABILITY = -40.0
# Direct convolution is faster than the transform up to about this length.
_FFT_LENGTH = 256


def probability_rank_exceeds(rank: int, better: IntArray, negatives: IntArray, positives: IntArray) -> FloatArray:
    """P(rank of the first positive > `rank`) for each query, [num_queries].

    It exceeds `better + x` when the first x of the tied items are all negatives. Of n negatives and p
    positives in random order that has the probability C(n, x) / C(n + p, x) = C(n + p - x, p) / C(n + p, p);
    of the two products the one with fewer factors is taken.

    Args:
        rank: a rank, from 1.
        better: [num_queries] negatives above the best positive.
        negatives: [num_queries] negatives tied with it.
        positives: [num_queries] positives tied with it, itself included.
    """
    first = rank - better
    few, many = np.minimum(first, positives), np.maximum(first, positives)
    probability = np.ones(len(better))
    for factor in range(int(few.max())):
        numerator = np.maximum(negatives + positives - many - factor, 0)
        denominator = negatives + positives - factor
        active = factor < few
        probability[active] *= numerator[active] / denominator[active]
    return probability


def expected_reciprocal_rank(better: IntArray, negatives: IntArray, positives: IntArray) -> FloatArray:
    """E[1 / rank of the first positive] for each query; arguments as `probability_rank_exceeds`."""
    expected: FloatArray = np.reciprocal(better + 1.0, dtype=np.float64)
    for query in np.flatnonzero(negatives):
        n, p = int(negatives[query]), int(positives[query])
        before = np.arange(n + 1)
        # P(first x are negatives), then a positive: x = 0 ... n.
        all_negative = np.concatenate([[1.0], np.cumprod((n - before[:-1]) / (n + p - before[:-1]))])
        expected[query] = np.sum(all_negative * p / (n + p - before) / (better[query] + 1 + before))
    return expected


def expected_median(better: IntArray, negatives: IntArray, positives: IntArray, repeats: IntArray) -> float:
    """E[median rank] with each query's ties broken independently.

    For an even number of queries the median is the mean of the middle two.

    Args:
        better: [distinct] negatives above the best positive, for each distinct kind of query.
        negatives: [distinct] negatives tied with it.
        positives: [distinct] positives tied with it, itself included.
        repeats: [distinct] number of queries of that kind.
    """
    total = int(repeats.sum())
    middle = {(total + 1) // 2, total // 2 + 1}
    return float(np.mean([_expected_order_statistic(k, better, negatives, positives, repeats) for k in middle]))


def _expected_order_statistic(
    k: int, better: IntArray, negatives: IntArray, positives: IntArray, repeats: IntArray
) -> float:
    """E[the `k`-th smallest rank], as the sum over r >= 0 of P(fewer than `k` ranks are up to r).

    The number of queries with a rank up to r is a sum of independent, unequal coin tosses, whose distribution
    is the product of the polynomials (1 - q) + q z. Only ranks between the optimistic and the pessimistic
    order statistic are uncertain, and of those only the few that Hoeffding's bound does not settle.
    """
    lowest = _order_statistic(k, better + 1, repeats)
    highest = _order_statistic(k, better + 1 + negatives, repeats)
    expected = float(lowest)
    for rank in range(lowest, highest):
        reached = 1.0 - probability_rank_exceeds(rank, better, negatives, positives)
        uncertain = (reached > 0.0) & (reached < 1.0)
        needed = k - int(repeats[reached == 1.0].sum())
        tosses = int(repeats[uncertain].sum())
        margin = needed - float(repeats[uncertain] @ reached[uncertain])
        settled = -2.0 * margin**2 < _NEGLIGIBLE_LOG_PROBABILITY * tosses
        if needed <= 0 or (settled and margin < 0):
            break
        if needed > tosses or settled:
            expected += 1.0
            continue
        successes = _sum_of_tosses(reached[uncertain], repeats[uncertain])
        expected += float(successes[:needed].sum())
    return expected


def _order_statistic(k: int, values: IntArray, repeats: IntArray) -> int:
    order = np.argsort(values)
    position = np.searchsorted(np.cumsum(repeats[order]), k)
    return int(values[order][position])


def _sum_of_tosses(probabilities: FloatArray, repeats: IntArray) -> FloatArray:
    """The distribution of the number of successes when each toss is made `repeats` times (Poisson binomial)."""
    factors = [_binomial(int(count), q) for q, count in zip(probabilities, repeats, strict=True)]
    while len(factors) > 1:
        paired = [_convolve(left, right) for left, right in zip(factors[::2], factors[1::2], strict=False)]
        factors = paired + factors[2 * len(paired) :]
    return factors[0]


def _binomial(tosses: int, probability: float) -> FloatArray:
    """The binomial distribution, from its characteristic function ((1 - q) + q z)^n on the unit circle."""
    if tosses == 1:
        return np.array([1.0 - probability, probability])
    transform = np.fft.rfft(np.array([1.0 - probability, probability]), tosses + 1) ** tosses
    return np.fft.irfft(transform, tosses + 1).astype(np.float64)


def _convolve(left: FloatArray, right: FloatArray) -> FloatArray:
    length = len(left) + len(right) - 1
    if length < _FFT_LENGTH:
        return np.convolve(left, right)
    return np.fft.irfft(np.fft.rfft(left, length) * np.fft.rfft(right, length), length).astype(np.float64)
