"""What each single query contributes to the metrics: for confidence intervals and for comparing two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from video_colbert.evaluation.rank_counts import RankCounts
from video_colbert.evaluation.tied_ranks import expected_reciprocal_rank, probability_rank_exceeds

FloatArray = npt.NDArray[np.float64]

SettledTies = Literal["optimistic", "pessimistic", "clip4clip_multi_sentence"]
"""The ways to rank ties that give each query one certain rank."""


@dataclass(frozen=True)
class QueryMetrics:
    """Metrics of each query, in expectation over random tie-breaking.

    Attributes:
        hits: k to [num_queries] probability that a positive is among the first k; 0 or 1 where nothing is tied.
        ranks: [num_queries] expected rank of the first positive, from 1.
        reciprocal_ranks: [num_queries] expectation of one over that rank.
    """

    hits: dict[int, FloatArray]
    ranks: FloatArray
    reciprocal_ranks: FloatArray


def query_metrics(counts: RankCounts, ks: tuple[int, ...] = (1, 5, 10)) -> QueryMetrics:
    """Metrics of each query from its rank counts; their means over the queries are R@k / 100, MnR and MRR.

    Args:
        counts: from `rank_counts` and its like; `settle_ties` first for another rule than the expectation.
        ks: cut-offs, from 1.
    """
    triple = counts.better, counts.tied_negatives, counts.tied_positives
    return QueryMetrics(
        hits={k: 1.0 - probability_rank_exceeds(k, *triple) for k in ks},
        ranks=counts.better + 1 + counts.tied_negatives / (counts.tied_positives + 1),
        reciprocal_ranks=expected_reciprocal_rank(*triple),
    )


def settle_ties(counts: RankCounts, ties: SettledTies) -> RankCounts:
    """Counts in which nothing is tied any more, since a rule says who comes first.

    Args:
        counts: with ties.
        ties: the positive first, the positive last, or the earlier item of the gallery first.
    """
    ahead = {
        "optimistic": np.zeros_like(counts.better),
        "pessimistic": counts.tied_negatives,
        "clip4clip_multi_sentence": counts.tied_before,
    }[ties]
    return RankCounts(
        better=counts.better + ahead,
        tied_negatives=np.zeros_like(counts.better),
        tied_positives=np.ones_like(counts.better),
        tied_before=np.zeros_like(counts.better),
        gallery=counts.gallery,
    )
