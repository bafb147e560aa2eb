"""What one source's list says of its videos, in numbers that can be compared with another source's."""

from __future__ import annotations

import numpy as np

from video_colbert.index.fusion.ranked_list import FloatArray, RankedList

RANK_CONSTANT = 60.0
"""The k of reciprocal ranks, as their authors have it."""

# The hits among which the noise of a list is looked for, and the probability of one alone, which has none beside it.
_NOISE_HITS = 40
_ALONE = 0.5
# How much likelier a first hit of pure noise is to be wrong than right. Weighs against every list alike.
_DOUBT = 4.0
_LEAST_PROBABILITY = 1e-12


def reciprocal_ranks(ranked: RankedList, constant: float = RANK_CONSTANT) -> FloatArray:
    """One over (constant + rank), by hit; hits of equal scores share the mean of what their ranks give.

    Cormack, Clarke and Buettcher, Reciprocal Rank Fusion outperforms Condorcet and Individual Rank Learning Methods,
    SIGIR 2009, with a constant of 60.

    Example:
        >>> ranked = RankedList.of("speech", [("a.mp4", 0.9), ("b.mp4", 0.4)])
        >>> reciprocal_ranks(ranked).round(5).tolist()
        [0.01639, 0.01613]
    """
    if not len(ranked):
        return np.zeros(0)
    by_rank = 1.0 / (constant + np.arange(1, len(ranked) + 1))
    _, group = np.unique(-ranked.scores, return_inverse=True)
    return np.asarray((np.bincount(group, by_rank) / np.bincount(group))[group])


def standardised(ranked: RankedList) -> FloatArray:
    """Scores less their mean over the list, in its standard deviations; zeros where all are equal."""
    if not len(ranked):
        return np.zeros(0)
    spread = ranked.scores.std()
    # Of equal scores it may be a rounding error above zero.
    if spread <= 1e-12 * max(1.0, float(np.abs(ranked.scores).max())):
        return np.zeros(len(ranked))
    return np.asarray((ranked.scores - ranked.scores.mean()) / spread)


def probabilities_of_list(ranked: RankedList) -> FloatArray:
    """How likely each hit is the right one, from how it stands out of its list alone: no query need be judged.

    The best of many wrong videos thin out exponentially, whatever their scores are distributed like (Pickands,
    Statistical Inference using Extreme Order Statistics, 1975): above the k-th score s_k of wrong ones, there are
    k exp(-(s - s_k) / b) above s. The scale b follows from how far apart a quarter of the k and all of them begin,
    b = (s_(k/4) - s_k) / ln 4, which a few right videos at the head of the list do not change. A right video may have
    any score above. By Bayes's rule with one right video or none,

        p_i = exp(x_i) / (4 k + sum_j exp(x_j)),   x_i = (s_i - s_k) / b,

    k being 40, or half of a shorter list. The 4 is a choice: with it, the first hit of pure noise has about .12.

    Args:
        ranked: the list; the longer, the better is its noise known.

    Returns:
        float64 [len(ranked)], their sum below 1. Half for the only hit of a list, and shared evenly in lists too
        short, or with too many equal scores, to tell noise.

    Example:
        >>> outstanding = RankedList.of("speech", [("a.mp4", 0.9), ("b.mp4", 0.42), ("c.mp4", 0.4), ("d.mp4", 0.38)])
        >>> crowded = RankedList.of("speech", [("a.mp4", 0.43), ("b.mp4", 0.42), ("c.mp4", 0.4), ("d.mp4", 0.38)])
        >>> bool(probabilities_of_list(outstanding)[0] > 0.9 > 0.3 > probabilities_of_list(crowded)[0])
        True
    """
    if not len(ranked):
        return np.zeros(0)
    scale, deepest = _noise(ranked.scores)
    if scale <= 0.0:
        best = ranked.scores == ranked.scores[0]
        return np.asarray(np.where(best, _ALONE / best.sum(), 0.0))
    excess = (ranked.scores - ranked.scores[deepest]) / scale
    # All are divided by the first one's, which may be too large for a number.
    likelihoods = np.exp(excess - excess[0])
    return np.asarray(likelihoods / (_DOUBT * (deepest + 1) * np.exp(-excess[0]) + likelihoods.sum()))


def pooled(some: FloatArray, others: FloatArray) -> FloatArray:
    """Two opinions on the same hits as one: the mean of their log odds, so that neither alone makes a hit likely.

        log(p / (1 - p)) = (log(a / (1 - a)) + log(b / (1 - b))) / 2

    This is the logarithmic opinion pool with equal weights (Genest and Zidek, Combining Probability Distributions,
    Statistical Science 1986). An opinion of one half, as of a list too short to tell, halves what the other says.

    Args:
        some: float64 [hits], from 0 to 1.
        others: the same.

    Example:
        >>> pooled(np.array([0.9, 0.9]), np.array([0.9, 0.1])).round(3).tolist()
        [0.9, 0.5]
    """
    return np.asarray(1.0 / (1.0 + np.exp(-(log_odds(some) + log_odds(others)) / 2.0)))


def log_odds(probabilities: FloatArray) -> FloatArray:
    """The natural logarithm of p / (1 - p), finite: p counts as at least 1e-12 from 0 and 1."""
    inside = np.clip(probabilities, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _noise(scores: FloatArray) -> tuple[float, int]:
    """The scale of the noise, 0 where it cannot be told, and the position of its k-th score."""
    deepest = min(_NOISE_HITS, max(len(scores) // 2, 4), len(scores)) - 1
    quarter = max((deepest + 1) // 4, 1)
    if deepest < 2:
        return 0.0, 0
    return float(scores[quarter] - scores[deepest]) / float(np.log((deepest + 1) / (quarter + 1))), deepest
