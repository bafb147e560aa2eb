"""nDCG@k of rankings with graded judgements, as an exact expectation over the order of tied videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Ranking = Sequence[tuple[str, float]]
"""Ids of videos with their scores, in any order: only scores count."""

Gain = Literal["linear", "exponential"]
"""What a video of some relevance is worth: the relevance, or two to its power less one."""


def expected_ndcg(ranking: Ranking, relevance: Mapping[str, float], *, k: int = 10, gain: Gain = "linear") -> float:
    """nDCG@k of one query when videos of equal scores come in random order.

    DCG@k sums gain / log2(1 + rank) over the first k ranks (Jarvelin and Kekalainen, 2002); nDCG@k divides by that of
    the best order. DCG is a sum over the videos, so each video of a tied group may take the mean of the discounts of
    the group's ranks (McSherry and Najork, Computing Information Retrieval Performance Measures Efficiently in the
    Presence of Tied Scores, ECIR 2008). Without ties it is trec_eval's ndcg_cut.

    Args:
        ranking: the videos found; one that is not among them has no rank.
        relevance: by judged video; 0 and below, and no judgement, is worth nothing.
        k: the last rank that counts.
        gain: what a video is worth.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: k is below 1, a video is there twice, a score is not a number, or nothing is relevant.

    Example:
        >>> expected_ndcg([("a", 0.5), ("b", 0.5)], {"a": 1}) == (1 + 0.6309297535714575) / 2
        True
    """
    if k < 1:
        raise ValueError(f"k of nDCG@k starts at 1, got {k}")
    ideal = np.sort([_worth(grade, gain) for grade in relevance.values()])[::-1][:k]
    if not ideal.sum() > 0:
        raise ValueError("nDCG needs a query with at least one relevant video")
    if len({video for video, _ in ranking}) < len(ranking):
        raise ValueError("a video is in the ranking twice")
    scores = np.array([score for _, score in ranking], dtype=np.float64)
    if np.isnan(scores).any():
        raise ValueError("a score of the ranking is not a number")
    _, group = np.unique(-scores, return_inverse=True)
    # Groups are numbered from the best; each holds as many ranks as it has videos.
    by_rank = np.zeros(len(ranking))
    by_rank[:k] = _discounts(min(k, len(ranking)))
    sizes = np.bincount(group)
    shared = np.bincount(np.repeat(np.arange(len(sizes)), sizes), by_rank) / sizes
    worth = np.array([_worth(relevance.get(video, 0.0), gain) for video, _ in ranking])
    return float(worth @ shared[group] / (ideal @ _discounts(len(ideal))))


def mean_ndcg(
    rankings: Mapping[str, Ranking],
    judgements: Mapping[str, Mapping[str, float]],
    *,
    k: int = 10,
    gain: Gain = "linear",
) -> float:
    """Mean of `expected_ndcg` over the judged queries that have a relevant video.

    Args:
        rankings: by query, the videos found; a query without one counts as 0.
        judgements: by query, the relevance of each judged video.
        k: the last rank that counts.
        gain: what a video is worth.

    Raises:
        ValueError: no query has a relevant video, or as `expected_ndcg`.
    """
    judged = {query: grades for query, grades in judgements.items() if any(grade > 0 for grade in grades.values())}
    if not judged:
        raise ValueError("no query has a relevant video")
    return float(np.mean([expected_ndcg(rankings.get(query, ()), judged[query], k=k, gain=gain) for query in judged]))


def _worth(grade: float, gain: Gain) -> float:
    if grade <= 0:
        return 0.0
    return float(grade) if gain == "linear" else 2.0**grade - 1.0


def _discounts(number: int) -> npt.NDArray[np.float64]:
    return 1.0 / np.log2(np.arange(2, number + 2))
