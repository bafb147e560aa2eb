"""Whether two runs differ by more than chance, from what each did on the same queries.

The test is the paired sign-flip (randomisation) test on per-query differences: if the runs were alike, each
difference could as well have the other sign. Smucker, Allan and Carterette (CIKM 2007) compare it with its
rivals for retrieval. Captions of one video are no independent evidence, so with clusters the differences of a
video's captions are flipped together.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from video_colbert.evaluation.confidence import Interval, cluster_numbers, cluster_sums

FloatArray = npt.NDArray[np.float64]

# Two sums of the same numbers in another order may differ by this share of their size.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class PairedDifference:
    """How a run differs from another on one metric.

    Attributes:
        difference: mean of the first run's values minus that of the second's.
        interval: bootstrap interval of the difference, 95 %.
        p_value: two-sided probability of a difference at least as large if the runs were alike.
        num_queries: queries compared.
        num_clusters: independent groups of queries among them.
        exact: whether all sign flips were counted, rather than a random sample of them.
    """

    difference: float
    interval: Interval
    p_value: float
    num_queries: int
    num_clusters: int
    exact: bool


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    permutations: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Compares two runs on the same queries.

    Args:
        first: [num_queries] what the first run got on each query: hits, ranks, or reciprocal ranks.
        second: [num_queries] the same of the second run.
        clusters: [num_queries] labels of queries that belong together, such as their video; by default none do.
        permutations: random sign flips and resamples; all 2^n flips are counted if they are no more than that.
        seed: of the random draws.

    Raises:
        ValueError: no query, vectors of different shapes, values that are not finite, or no permutation.
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if np.shape(first) != np.shape(second) or difference.ndim != 1:
        raise ValueError(
            f"the runs must give one value a query each, got shapes {np.shape(first)}, {np.shape(second)}"
        )
    if not np.isfinite(difference).all():
        raise ValueError(f"the values of query {int(np.flatnonzero(~np.isfinite(difference))[0])} are not finite")
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    numbers = cluster_numbers(clusters, len(difference))
    sums = cluster_sums(difference, numbers)
    sizes = np.bincount(numbers)
    deciding = sums[sums != 0]
    generator = np.random.default_rng(seed)
    exact = len(deciding) < permutations.bit_length()
    p_value = _exact_p_value(deciding) if exact else _sampled_p_value(deciding, permutations, generator)
    resampled = np.empty(permutations)
    for draw in range(permutations):
        chosen = generator.integers(len(sums), size=len(sums))
        resampled[draw] = sums[chosen].sum() / sizes[chosen].sum()
    low, high = np.quantile(resampled, (0.025, 0.975)).tolist()
    return PairedDifference(
        difference=float(difference.mean()),
        interval=(low, high),
        p_value=p_value,
        num_queries=len(difference),
        num_clusters=len(sums),
        exact=exact,
    )


def _exact_p_value(sums: FloatArray) -> float:
    """Share of all sign flips whose sum is at least as far from 0 as the one observed."""
    flipped = np.array([np.dot(signs, sums) for signs in itertools.product((1.0, -1.0), repeat=len(sums))])
    return float((np.abs(flipped) >= _threshold(sums)).mean())


def _sampled_p_value(sums: FloatArray, permutations: int, generator: np.random.Generator) -> float:
    """The same from random flips; the observed one counts among them, so that it is never 0."""
    threshold = _threshold(sums)
    extreme = 0
    for _ in range(permutations):
        signs = generator.integers(0, 2, size=len(sums)) * 2 - 1
        extreme += int(abs(np.dot(signs, sums)) >= threshold)
    return (extreme + 1) / (permutations + 1)


def _threshold(sums: FloatArray) -> float:
    return abs(float(sums.sum())) - _ROUNDING * float(np.abs(sums).sum())
