"""Retrieval on an encoded split of a data set: metrics of each level, in both directions, with what was left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from video_colbert.evaluation.confidence import Interval, bootstrap_intervals
from video_colbert.evaluation.dual_softmax import DEFAULT_SCALE, DUAL_SOFTMAX
from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.metrics import Ties, metrics_from_counts
from video_colbert.evaluation.rank_counts import RankCounts
from video_colbert.evaluation.two_way_ranks import TwoWayCounts, two_way_rank_counts


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of one level in one direction.

    Attributes:
        dataset: name of the data set.
        protocol: name of its protocol; None for the set's own.
        split: name of the split.
        num_videos: videos in the gallery.
        num_expected_videos: videos that the split has, those that are missing or do not decode included.
        num_queries: captions that were searched for.
        level: "frame", "video" or "sum".
        direction: "text_to_video" or "video_to_text".
        metrics: R@1, R@5 and R@10 in percent, MdR and MnR in ranks, MRR from 0 to 1, and from text to video nDCG@10
            from 0 to 1 where the data set has graded judgements.
        truncated_queries: captions that were cut since the text tower does not hold them.
        selection: how the checkpoint was chosen.
        ties: how tied scores were ranked; "expected" is the expectation over random tie-breaking.
        reweighting: "dual_softmax" if each query's scores depend on all the other queries; None for plain scores.
        confidence_intervals: 95 % bootstrap interval of each metric, if they were computed.
        level_weights: how much each level counts in the sum, if not all count 1.
        num_judged_queries: queries with graded judgements that nDCG@10 is the mean over; each may have several videos,
            and is a caption of each.
        by_source: by source that answers a query, and for "all", the number of its queries, their R@k, and under "sum"
            how often that source was chosen, in percent; None of a data set that does not say which source answers.
    """

    dataset: str
    protocol: str | None
    split: str
    num_videos: int
    num_expected_videos: int
    num_queries: int
    level: str
    direction: str
    metrics: dict[str, float]
    truncated_queries: int
    selection: str | None = None
    ties: str = "expected"
    reweighting: str | None = None
    confidence_intervals: dict[str, Interval] | None = None
    level_weights: dict[str, float] | None = None
    num_judged_queries: int | None = None
    by_source: dict[str, dict[str, float]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields, in types that JSON has."""
        return asdict(self)


@torch.inference_mode()
def rank_split(
    split: EncodedSplit, *, dual_softmax: bool = False, with_distribution: bool = False, progress: bool = False
) -> dict[str, TwoWayCounts]:
    """Counts the ranks of every level in both directions; no score matrix is held.

    Args:
        split: what `encode_split` returned.
        dual_softmax: whether to re-weight the scores by all queries (`evaluation.dual_softmax`).
        with_distribution: whether to count the scores' histograms too.
        progress: whether to show a progress bar, where there is a terminal.

    Returns:
        The counts by level: "frame", "video" if there is one, and "sum".
    """
    return two_way_rank_counts(
        split.level_scores,
        split.positives,
        len(split.video_ids),
        dual_softmax_scale=DEFAULT_SCALE if dual_softmax else None,
        with_distribution=with_distribution,
        progress=progress,
    )


def evaluate_split(
    split: EncodedSplit,
    *,
    dataset: str,
    split_name: str,
    protocol: str | None = None,
    selection: str | None = None,
    ties: Ties = "expected",
    dual_softmax: bool = False,
    ranks: dict[str, TwoWayCounts] | None = None,
    confidence_intervals: bool = False,
) -> list[EvaluationResult]:
    """Computes the metrics of every level in both directions.

    Args:
        split: what `encode_split` returned.
        dataset: name of the data set.
        split_name: name of the split.
        protocol: name of the protocol.
        selection: how the checkpoint was chosen.
        ties: how tied scores are ranked.
        dual_softmax: whether to re-weight the scores by all queries; the results say so.
        ranks: what `rank_split` returned for this split with the same `dual_softmax`, if it is there already.
        confidence_intervals: whether to compute bootstrap intervals, over videos with all their captions. They are
            of the expectation over random tie-breaking, so only with `ties="expected"`.

    Raises:
        ValueError: intervals were asked for with another way to rank ties, or the way does not fit the captions.
    """
    if confidence_intervals and ties != "expected":
        raise ValueError(f"confidence intervals are computed with ties='expected', not {ties!r}")
    if ranks is None:
        ranks = rank_split(split, dual_softmax=dual_softmax)
    weights = dict(split.queries.level_weights)
    results = []
    for level, counts in ranks.items():
        directions: dict[str, tuple[RankCounts, Ties]] = {
            "text_to_video": (counts.text_to_video, ties),
            "video_to_text": (counts.video_to_text, ties),
        }
        if ties == "clip4clip_multi_sentence":
            directions["video_to_text"] = counts.video_to_text_sets, "clip4clip"
        for direction, (of_direction, rule) in directions.items():
            intervals = None
            if confidence_intervals:
                clusters = split.positives if direction == "text_to_video" else counts.asking
                intervals = bootstrap_intervals(of_direction, clusters=clusters)
            results.append(
                EvaluationResult(
                    dataset=dataset,
                    protocol=protocol,
                    split=split_name,
                    num_videos=len(split.video_ids),
                    num_expected_videos=split.num_expected_videos,
                    num_queries=len(split.positives),
                    level=level,
                    direction=direction,
                    metrics=metrics_from_counts(of_direction, ties=rule).as_dict(),
                    truncated_queries=len(split.queries.truncated),
                    selection=selection,
                    ties=ties,
                    reweighting=DUAL_SOFTMAX if dual_softmax else None,
                    confidence_intervals=intervals,
                    level_weights=None if set(weights.values()) == {1.0} else weights,
                )
            )
    return results
