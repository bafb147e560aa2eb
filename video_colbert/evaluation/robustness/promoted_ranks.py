"""Where a video stands for queries, before and after it was changed: in a gallery, and in an index of a million."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

TOP = (1, 5, 10)
"""The tops that a promoted video may enter."""


def ranks_among(score: Tensor, gallery: Tensor) -> npt.NDArray[np.float64]:
    """Ranks a video among others, each query for itself.

    Args:
        score: [Nq] the video's scores.
        gallery: [Nq, N] scores of the other videos; -inf for one that does not count.

    Returns:
        [Nq] ranks from 1; a tie counts half a rank, its expectation under random tie-breaking.
    """
    better = (gallery > score[:, None]).sum(1)
    tied = (gallery == score[:, None]).sum(1)
    return (1 + better + tied / 2).cpu().numpy().astype(np.float64)


@dataclass(frozen=True)
class RankFigures:
    """Ranks of one video for queries, in short.

    Attributes:
        median: of the ranks.
        mean: of the ranks.
        shares: for each of `TOP`, the share of queries that have it there, in percent.
        num_queries: how many queries.
    """

    median: float
    mean: float
    shares: dict[int, float]
    num_queries: int


def rank_figures(ranks: npt.NDArray[np.float64]) -> RankFigures:
    """Sums up ranks.

    Args:
        ranks: [n] of at least one query.

    Raises:
        ValueError: there is none.

    Example:
        >>> import numpy as np
        >>> rank_figures(np.array([1.0, 7.0, 40.0])).shares
        {1: 33.3, 5: 33.3, 10: 66.7}
    """
    if len(ranks) == 0:
        raise ValueError("there is no query to rank the video for")
    shares = {top: round(100 * float(np.mean(ranks <= top)), 1) for top in TOP}
    return RankFigures(float(np.median(ranks)), float(np.mean(ranks)), shares, len(ranks))


@dataclass(frozen=True)
class LargeIndexRank:
    """Where a video would stand in an index too large to be scored here, estimated from a sample of it.

    Attributes:
        median: the median over queries of the expected rank.
        shares: for each of `TOP`, the expected share of queries that have it there, in percent.
        above_sample: share of queries for which it scores above the whole sample, in percent: where the sample says
            least.
        sample_size: videos of the sample.
        index_size: videos of the index.
    """

    median: float
    shares: dict[int, float]
    above_sample: float
    sample_size: int
    index_size: int


def rank_in_large_index(num_better: npt.NDArray[np.int64], sample_size: int, index_size: int) -> LargeIndexRank:
    """Estimates where a video would stand among a million, from a random sample of them.

    Of n sampled videos k score higher. The rate at which videos of the index do has then, under Jeffreys' prior, about
    a Gamma(k + 1/2) distribution over n, and the number of them among the M - n others a negative binomial one: its
    mean gives the expected rank `1 + k + (M - n) (k + 1/2) / n`, and its tail how likely a top is. With k = 0 the
    sample says only that the video is among about the first M / n.

    Args:
        num_better: [Nq] videos of the sample that score higher, for each query.
        sample_size: n.
        index_size: M, videos of the index other than the changed one; at least n.

    Raises:
        ValueError: there is no query or sample, or the index is smaller than the sample.
    """
    if len(num_better) == 0 or not 1 <= sample_size <= index_size:
        raise ValueError(
            f"needs a query and a sample of 1 to {index_size} videos, got {len(num_better)} and {sample_size}"
        )
    others = index_size - sample_size
    expected = 1 + num_better + others * (num_better + 0.5) / sample_size
    shares = {
        top: round(100 * float(np.mean([_chance_of_top(int(k), sample_size, others, top) for k in num_better])), 1)
        for top in TOP
    }
    above = round(100 * float(np.mean(num_better == 0)), 1)
    return LargeIndexRank(float(np.median(expected)), shares, above, sample_size, index_size)


def _chance_of_top(better: int, sample_size: int, others: int, top: int) -> float:
    """The probability that fewer than `top` videos score higher, `better` of them in the sample."""
    shape, share = better + 0.5, others / (sample_size + others)
    if share == 0.0:
        return float(better < top)
    logs = [
        math.lgamma(shape + x)
        - math.lgamma(shape)
        - math.lgamma(x + 1)
        + shape * math.log1p(-share)
        + x * math.log(share)
        for x in range(top - better)
    ]
    return math.fsum(map(math.exp, logs))
