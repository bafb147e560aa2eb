"""Bootstrap confidence intervals of retrieval metrics: how much a figure owes to the queries that were asked.

Queries are drawn with replacement (Efron, 1979, percentile intervals). Captions of one video rise and fall
together, so where a video has several, whole videos are drawn with all their captions; treating the captions as
independent would make the intervals too narrow. The gallery is held fixed, and so is the model: what another
training seed or another gallery would change is not in these intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from video_colbert.evaluation.query_metrics import query_metrics
from video_colbert.evaluation.rank_counts import RankCounts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Interval = tuple[float, float]
"""Lower and upper end."""


def bootstrap_intervals(
    counts: RankCounts,
    *,
    clusters: npt.ArrayLike | None = None,
    ks: Sequence[int] = (1, 5, 10),
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of R@k, MdR, MnR and MRR.

    Ties enter by each query's expectation; for MdR, whose expectation is not a mean over queries, the median of
    the queries' expected ranks is drawn, which is the same thing where nothing is tied.

    Args:
        counts: of all queries.
        clusters: [num_queries] what each query is drawn together with, such as the number of its video; by
            default each query is drawn on its own.
        ks: cut-offs of R@k.
        confidence: share of the resamples inside the interval.
        resamples: how often the queries are drawn anew.
        seed: of the draws.

    Returns:
        Intervals by the names that `RetrievalMetrics.as_dict` has, in its units.

    Raises:
        ValueError: no query, clusters of another length, or an argument out of range.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence lies between 0 and 1 and resamples from 1, got {confidence} and {resamples}")
    numbers = cluster_numbers(clusters, len(counts))
    of_queries = query_metrics(counts, tuple(ks))
    names = [*(f"R@{k}" for k in ks), "MnR", "MRR"]
    values = np.stack(
        [*(100.0 * of_queries.hits[k] for k in ks), of_queries.ranks, of_queries.reciprocal_ranks], axis=1
    )
    sums = cluster_sums(values, numbers)
    sizes = np.bincount(numbers)
    order = np.argsort(of_queries.ranks, kind="stable")
    draws: dict[str, list[float]] = {name: [] for name in [*names, "MdR"]}
    for drawn in _cluster_draws(len(sizes), resamples, seed):
        means = drawn @ sums / (drawn @ sizes)
        for name, mean in zip(names, means, strict=True):
            draws[name].append(float(mean))
        draws["MdR"].append(_weighted_median(of_queries.ranks[order], drawn[numbers[order]]))
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    return {name: (low, high) for name in draws for low, high in [np.quantile(draws[name], tails).tolist()]}


def cluster_numbers(clusters: npt.ArrayLike | None, num_queries: int) -> IntArray:
    """Numbers the clusters from 0 without gaps; each query is its own where there are none.

    Args:
        clusters: [num_queries] any labels, or None.
        num_queries: number of queries, at least 1.

    Raises:
        ValueError: no query, or another number of labels.
    """
    if num_queries == 0:
        raise ValueError("no query to evaluate")
    if clusters is None:
        return np.arange(num_queries)
    labels = np.asarray(clusters)
    if labels.shape != (num_queries,):
        raise ValueError(f"clusters must label {num_queries} queries, got an array of shape {labels.shape}")
    numbers: IntArray = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return numbers


def cluster_sums(values: FloatArray, numbers: IntArray) -> FloatArray:
    """Sums [num_queries, ...] values over the queries of each cluster."""
    sums = np.zeros((int(numbers.max()) + 1, *values.shape[1:]))
    np.add.at(sums, numbers, values)
    return sums


def _cluster_draws(num_clusters: int, resamples: int, seed: int) -> Iterator[IntArray]:
    """How often each cluster is drawn, [num_clusters], once a resample."""
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(generator.integers(num_clusters, size=num_clusters), minlength=num_clusters)


def _weighted_median(values: FloatArray, repeats: IntArray) -> float:
    """Median of ascending values, each repeated so often."""
    reached = repeats.cumsum()
    total = int(reached[-1])
    middle = np.searchsorted(reached, [(total + 1) // 2, total // 2 + 1])
    return float(values[middle].mean())
