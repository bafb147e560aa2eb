"""Metrics of searches over several sources: R@k by the source that answers, and which source was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from video_colbert.evaluation.graded_metrics import Ranking
from video_colbert.evaluation.query_metrics import query_metrics
from video_colbert.evaluation.rank_counts import RankCounts

ALL_SOURCES = "all"
"""Name under which figures over the queries of every source stand."""


@dataclass(frozen=True)
class SourceChoice:
    """Which source a search went by, beside the one that answers.

    Attributes:
        accuracy: by answering source, and over all, percentage of queries in which that source was chosen.
        chosen: by answering source, how often each source was chosen; None stands for no source.
    """

    accuracy: Mapping[str, float]
    chosen: Mapping[str, Mapping[str | None, int]]


def hit_rates_by_source(
    rankings: Sequence[Ranking],
    right: Sequence[Collection[str]],
    sources: Sequence[str],
    *,
    ks: Sequence[int] = (1, 5, 10),
) -> dict[str, dict[int, float]]:
    """R@k of the queries that each source answers, in percent, in expectation over the order of tied videos.

    Args:
        rankings: for each query the videos found; none of its right ones among them is a miss.
        right: for each query its right videos, at least one.
        sources: for each query the source that answers it.
        ks: cut-offs, from 1.

    Returns:
        By source, and over all queries as "all", k to percentage.

    Raises:
        ValueError: no query, arguments of different lengths, or a query without a right video.
    """
    if not rankings or not len(rankings) == len(right) == len(sources):
        raise ValueError(
            f"rankings, right videos and sources must be of the same queries, got {len(rankings)}, {len(right)} "
            f"and {len(sources)}"
        )
    if not all(right):
        raise ValueError("a query has no right video")
    hits = np.array([_hits(ranking, set(videos), ks) for ranking, videos in zip(rankings, right, strict=True)])
    rates = {}
    for source in (ALL_SOURCES, *dict.fromkeys(sources)):
        rows = [source in (ALL_SOURCES, answering) for answering in sources]
        rates[source] = dict(zip(ks, (100.0 * hits[rows].mean(axis=0)).tolist(), strict=True))
    return rates


def source_choice(chosen: Sequence[str | None], answering: Sequence[str]) -> SourceChoice:
    """How often the source that answers a query is the one that the search went by.

    Args:
        chosen: for each query the source that brought its first hit, or None where nothing was found.
        answering: for each query the source that answers it.

    Raises:
        ValueError: no query, or arguments of different lengths.

    Example:
        >>> source_choice(["speech", "video", "video"], ["speech", "speech", "video"]).accuracy["speech"]
        50.0
    """
    if not chosen or len(chosen) != len(answering):
        raise ValueError(
            f"chosen and answering sources must be of the same queries, got {len(chosen)} and {len(answering)}"
        )
    pairs = list(zip(answering, chosen, strict=True))
    counts = {source: Counter(choice for own, choice in pairs if own == source) for source in dict.fromkeys(answering)}
    accuracy = {source: 100.0 * count[source] / count.total() for source, count in counts.items()}
    is_right = sum(count[source] for source, count in counts.items())
    return SourceChoice({ALL_SOURCES: 100.0 * is_right / len(pairs), **accuracy}, counts)


def _hits(ranking: Ranking, right: Collection[str], ks: Sequence[int]) -> list[float]:
    """By k, the probability that a right video is among the first k."""
    found = [score for video, score in ranking if video in right]
    if not found:
        return [0.0] * len(ks)
    best = max(found)
    tied = sum(score == best for _, score in ranking)
    counts = RankCounts(
        better=np.array([sum(score > best for _, score in ranking)]),
        tied_negatives=np.array([tied - found.count(best)]),
        tied_positives=np.array([found.count(best)]),
        tied_before=np.array([0]),
        gallery=len(ranking),
    )
    return [float(each[0]) for each in query_metrics(counts, tuple(ks)).hits.values()]
