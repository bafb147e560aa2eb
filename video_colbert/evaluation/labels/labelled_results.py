"""Results of an evaluation with the figures that graded judgements and labels of sources allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.labels.query_labels import QueryLabels
from video_colbert.evaluation.labels.split_rankings import GRADED_RANK, chosen_sources, ndcg_by_level
from video_colbert.evaluation.metrics import Ties, metrics_from_counts
from video_colbert.evaluation.rank_counts import RankCounts
from video_colbert.evaluation.retrieval import EvaluationResult
from video_colbert.evaluation.sources.source_metrics import ALL_SOURCES, source_choice
from video_colbert.evaluation.two_way_ranks import TwoWayCounts

NDCG = f"nDCG@{GRADED_RANK}"
"""Name of the metric of graded judgements."""

SOURCE_CHOSEN = "source chosen"
"""Name of the share of queries, in percent, for which the source that answers brings most to the first hit."""


def with_labelled_figures(
    results: Sequence[EvaluationResult],
    split: EncodedSplit,
    ranks: Mapping[str, TwoWayCounts],
    labels: QueryLabels,
    *,
    ties: Ties = "expected",
    dual_softmax: bool = False,
) -> list[EvaluationResult]:
    """Adds to results from text to video what labels of queries allow: nDCG@10, and figures by answering source.

    Args:
        results: of `evaluate_split`.
        split: what they are of.
        ranks: its rank counts by level.
        labels: of the split's captions.
        ties: how tied scores are ranked in R@k; in nDCG it is the expectation always.
        dual_softmax: whether scores are re-weighted by all captions.

    Returns:
        The results; without labels as they were.
    """
    ndcg = ndcg_by_level(split, labels.judged, dual_softmax=dual_softmax) if labels.judged else {}
    chosen = None if labels.sources is None else chosen_sources(split, dual_softmax=dual_softmax)
    found = []
    for result in results:
        if result.direction == "text_to_video" and result.level in ndcg:
            metrics = {**result.metrics, NDCG: ndcg[result.level]}
            result = replace(result, metrics=metrics, num_judged_queries=len(labels.judged))
        if result.direction == "text_to_video" and labels.sources is not None:
            by_source = _by_source(ranks[result.level].text_to_video, labels.sources, ties)
            if result.level == "sum" and chosen is not None:
                for source, accuracy in source_choice(chosen, labels.sources).accuracy.items():
                    by_source[source][SOURCE_CHOSEN] = accuracy
            result = replace(result, by_source=by_source)
        found.append(result)
    return found


def _by_source(counts: RankCounts, sources: Sequence[str], ties: Ties) -> dict[str, dict[str, float]]:
    answering = np.array(sources)
    figures = {}
    for source in (ALL_SOURCES, *dict.fromkeys(sources)):
        rows = np.flatnonzero((answering == source) | (source == ALL_SOURCES))
        rates = metrics_from_counts(counts.select(rows), ties=ties).hit_rate
        figures[source] = {"queries": float(len(rows)), **{f"R@{k}": rate for k, rate in rates.items()}}
    return figures
