"""Retrieval metrics from score matrices: R@k, median and mean rank, MRR, and pairwise discrimination.

Every metric rests on the rank of each query's first positive, so three counts a query (`RankCounts`) are all
that has to be kept: blocks of queries can be counted and thrown away, and no full score matrix is needed.

R@k is the hit rate that text-to-video papers report: the share of queries with *a* positive among the first
k. (With several positives a query it differs from recall in the textbook sense.)

Tied scores have no order of their own. By default every metric is its exact expectation when each query's
ties are broken at random, independently of the other queries; "optimistic" puts tied positives first and
"pessimistic" puts them last. "clip4clip" and "clip4clip_multi_sentence" count as the two paths of CLIP4Clip's
evaluation do (module `clip4clip`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from video_colbert.evaluation.clip4clip import (
    best_caption_scores,
    listed_positions,
    median_position,
    sorted_positions,
)
from video_colbert.evaluation.query_metrics import settle_ties
from video_colbert.evaluation.rank_counts import (
    IntArray,
    Positives,
    RankCounts,
    Scores,
    positive_mask,
    rank_counts,
)
from video_colbert.evaluation.tied_ranks import (
    expected_median,
    expected_reciprocal_rank,
    probability_rank_exceeds,
)

Ties = Literal["expected", "optimistic", "pessimistic", "clip4clip", "clip4clip_multi_sentence"]
"""How tied scores are ranked."""


@dataclass(frozen=True)
class RetrievalMetrics:
    """Metrics of one retrieval direction.

    Attributes:
        hit_rate: k to the percentage (0 to 100) of queries with a positive among the first k.
        median_rank: median over the queries of the rank of the first positive; ranks start at 1.
        mean_rank: mean of the same ranks.
        mean_reciprocal_rank: mean of one over the rank, 0 to 1.
        num_queries: number of queries.
        gallery: number of items each query was ranked against.
    """

    hit_rate: dict[int, float]
    median_rank: float
    mean_rank: float
    mean_reciprocal_rank: float
    num_queries: int
    gallery: int

    def as_dict(self) -> dict[str, float]:
        """The metrics under the names that papers use: R@k, MdR, MnR, MRR."""
        return {
            **{f"R@{k}": rate for k, rate in self.hit_rate.items()},
            "MdR": self.median_rank,
            "MnR": self.mean_rank,
            "MRR": self.mean_reciprocal_rank,
        }


def text_to_video_metrics(
    scores: Scores, positives: Positives, *, ks: Sequence[int] = (1, 5, 10), ties: Ties = "expected"
) -> RetrievalMetrics:
    """Metrics of finding videos by text.

    Args:
        scores: [num_texts, num_videos], higher is better.
        positives: the right videos of each text: a mask like `scores`, or indices into the videos.
        ks: cut-offs of R@k.
        ties: how tied scores are ranked.

    Raises:
        ValueError: as `rank_counts` and `metrics_from_counts`.
    """
    return metrics_from_counts(rank_counts(scores, positives), ks=ks, ties=ties)


def video_to_text_metrics(
    scores: Scores, positives: Positives, *, ks: Sequence[int] = (1, 5, 10), ties: Ties = "expected"
) -> RetrievalMetrics:
    """Metrics of finding texts by video; a video with several texts counts by the best placed of them.

    With `ties="clip4clip_multi_sentence"` a video ranks the videos' sets of texts, each by its best score, and the
    gallery is the number of sets.

    Args:
        scores: [num_texts, num_videos], the matrix that `text_to_video_metrics` takes.
        positives: the right videos of each text, as `text_to_video_metrics` takes them.
        ks: cut-offs of R@k.
        ties: how tied scores are ranked.

    Raises:
        ValueError: as `rank_counts`; a video without any text cannot be a query, so leave its column out. A text
            with several videos, where the videos' texts are taken as sets.
    """
    table = torch.as_tensor(scores)
    mask = positive_mask(positives, table)
    if ties == "clip4clip_multi_sentence":
        if not (mask.sum(dim=1) == 1).all() or not mask.any(dim=0).all():
            raise ValueError("sets of texts need one video for each text and a text for each video")
        sets = best_caption_scores(table, mask.int().argmax(dim=1).cpu().numpy())
        counts = rank_counts(sets.T, torch.arange(len(sets), device=table.device))
        return metrics_from_counts(counts, ks=ks, ties="clip4clip")
    return metrics_from_counts(rank_counts(table.T, mask.T), ks=ks, ties=ties)


class RankAccumulator:
    """Collects rank counts from blocks of query rows, so that an evaluation needs no full score matrix.

    For video to text, feed blocks of videos against all texts.

    Example:
        >>> accumulator = RankAccumulator()
        >>> accumulator.update([[0.9, 0.1]], [[0]])
        >>> accumulator.update([[0.8, 0.2]], [[1]])
        >>> accumulator.compute().as_dict()["R@1"]
        50.0
    """

    def __init__(self) -> None:
        self._blocks: list[RankCounts] = []

    def update(self, scores: Scores, positives: Positives) -> None:
        """Adds a block of queries; arguments and errors as `rank_counts`."""
        self._blocks.append(rank_counts(scores, positives))

    def counts(self) -> RankCounts:
        """The counts of all queries so far, in the order they were fed.

        Raises:
            ValueError: nothing was fed, or the blocks had galleries of different sizes.
        """
        return RankCounts.concatenate(self._blocks)

    def compute(self, *, ks: Sequence[int] = (1, 5, 10), ties: Ties = "expected") -> RetrievalMetrics:
        """The metrics over all queries so far; arguments and errors as `metrics_from_counts`."""
        return metrics_from_counts(self.counts(), ks=ks, ties=ties)


def metrics_from_counts(
    counts: RankCounts, *, ks: Sequence[int] = (1, 5, 10), ties: Ties = "expected"
) -> RetrievalMetrics:
    """Metrics of all the queries counted.

    Args:
        counts: from `rank_counts`, `RankAccumulator.counts` or `RankCounts.concatenate`.
        ks: cut-offs of R@k, each at least 1.
        ties: how tied scores are ranked.

    Raises:
        ValueError: no query, a cut-off below 1, or an unknown way to rank ties.
    """
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be one of {', '.join(get_args(Ties))}, got {ties!r}")
    if len(counts) == 0:
        raise ValueError("no query to evaluate")
    if any(k < 1 for k in ks):
        raise ValueError(f"cut-offs of R@k start at 1, got {list(ks)}")
    if ties == "clip4clip":
        return _metrics_of_positions(listed_positions(counts), counts, ks, lower_median=False)
    if ties == "clip4clip_multi_sentence":
        return _metrics_of_positions(sorted_positions(counts), counts, ks, lower_median=True)
    if ties != "expected":
        # A rank that is settled is the special case of nothing tied.
        counts = settle_ties(counts, ties)
    # Queries with equal counts have equal rank distributions; working on the distinct ones keeps a
    # degenerate model (constant scores) as cheap as a good one.
    signatures, repeats = np.unique(
        np.stack([counts.better, counts.tied_negatives, counts.tied_positives], axis=1),
        axis=0,
        return_counts=True,
    )
    better, negatives, positives = signatures.T
    weights = repeats / len(counts)
    return RetrievalMetrics(
        hit_rate={
            k: 100.0 * float(weights @ (1.0 - probability_rank_exceeds(k, better, negatives, positives))) for k in ks
        },
        median_rank=expected_median(better, negatives, positives, repeats),
        mean_rank=float(weights @ (better + 1 + negatives / (positives + 1))),
        mean_reciprocal_rank=float(weights @ expected_reciprocal_rank(better, negatives, positives)),
        num_queries=len(counts),
        gallery=counts.gallery,
    )


def _metrics_of_positions(
    positions: IntArray, counts: RankCounts, ks: Sequence[int], *, lower_median: bool
) -> RetrievalMetrics:
    """Metrics over a list of 0-based positions, given as how often each is in it."""
    entries, places = int(positions.sum()), np.arange(1, len(positions) + 1)
    return RetrievalMetrics(
        hit_rate={k: 100.0 * float(positions[:k].sum()) / entries for k in ks},
        median_rank=median_position(positions, lower=lower_median) + 1,
        mean_rank=float(positions @ places) / entries,
        mean_reciprocal_rank=float((positions / places).sum()) / entries,
        num_queries=len(counts),
        gallery=counts.gallery,
    )


def pairwise_discrimination(
    matched_scores: Scores | Sequence[float],
    mismatched_scores: Scores | Sequence[float],
    *,
    tolerance: float = 1e-6,
) -> float:
    """Percentage of pairs told apart, such as a caption against its own clip and against that clip's twin.

    A difference within `tolerance` is rounding, not a decision, and counts half; so chance is 50.

    Args:
        matched_scores: [num_pairs] the score each pair's right item got.
        mismatched_scores: [num_pairs] the score its wrong item got.
        tolerance: largest difference, in score units, that counts as none.

    Raises:
        ValueError: no pair, different shapes, or NaN.
    """
    difference = torch.as_tensor(matched_scores, dtype=torch.float64) - torch.as_tensor(
        mismatched_scores, dtype=torch.float64
    )
    if torch.as_tensor(matched_scores).shape != torch.as_tensor(mismatched_scores).shape or difference.ndim != 1:
        raise ValueError("matched and mismatched scores must be two vectors of one length")
    if len(difference) == 0:
        raise ValueError("no pair to compare")
    if torch.isnan(difference).any():
        raise ValueError(f"scores of pair {int(torch.isnan(difference).nonzero()[0])} hold NaN")
    right = (difference > tolerance).double() + 0.5 * (difference.abs() <= tolerance).double()
    return 100.0 * float(right.mean())
