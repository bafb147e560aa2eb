"""How well probabilities of hits hold: shares of right hits by bin, and the expected calibration error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from video_colbert.index.confidence.search_confidence import (
    DEPTH,
    LEAST_QUERIES,
    JudgedHits,
    SearchConfidence,
    fit_confidence,
)

FALSE_POSITIVE_RATES = (0.01, 0.05, 0.1, 0.2)
"""Rates at which it is told how many queries are found."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of about one probability.

    Attributes:
        probability: their mean.
        share_right: how many of them were right.
        count: how many they are.
    """

    probability: float
    share_right: float
    count: int


def reliability_bins(probabilities: npt.ArrayLike, is_right: npt.ArrayLike, *, bins: int = 10) -> list[ReliabilityBin]:
    """Bins of equal mass: predictions in the order of their probability, in as many parts of one size.

    Args:
        probabilities: [predictions] from 0 to 1.
        is_right: [predictions] whether each came true.
        bins: how many; of fewer predictions, one each.

    Raises:
        ValueError: there are no predictions, or not as many of both.

    Example:
        >>> [round(each.share_right, 2) for each in reliability_bins([0.1, 0.9, 0.2, 0.8], [0, 1, 1, 1], bins=2)]
        [0.5, 1.0]
    """
    predicted, right = np.asarray(probabilities, dtype=np.float64), np.asarray(is_right, dtype=np.float64)
    if predicted.shape != right.shape or predicted.ndim != 1 or not len(predicted) or bins < 1:
        raise ValueError(
            f"expected as many predictions as outcomes and a bin or more, got {predicted.shape}, {right.shape}, {bins}"
        )
    parts = np.array_split(np.argsort(predicted, kind="stable"), min(bins, len(predicted)))
    return [ReliabilityBin(float(predicted[part].mean()), float(right[part].mean()), len(part)) for part in parts]


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """The mean distance of probabilities from shares, each bin by its count (Naeini et al., AAAI 2015).

        ECE = sum_b n_b / n |share of right ones in b - mean probability in b|

    It is above zero for perfect probabilities too: with few predictions a share is some way off by chance.
    """
    total = sum(each.count for each in bins)
    return sum(each.count / total * abs(each.share_right - each.probability) for each in bins)


@dataclass(frozen=True)
class Reliability:
    """How well an index's confidence holds for judged queries that it was not fitted on.

    Attributes:
        bins: of the first hits.
        error: their expected calibration error.
        num_queries: judged queries.
        false_positives: by stated false-positive rate, the share of queries that were taken for found with their right
            videos taken out of the index.
        found: by stated rate, the share of the same queries that were taken for found as they are.
    """

    bins: list[ReliabilityBin]
    error: float
    num_queries: int
    false_positives: Mapping[float, float]
    found: Mapping[float, float]

    def as_dict(self) -> dict[str, Any]:
        """The fields, in types that JSON has."""
        return asdict(self)


def measure_reliability(judged: Sequence[tuple[JudgedHits, SearchConfidence]]) -> Reliability:
    """Measures confidences on queries that they were not fitted on.

    Args:
        judged: what was found for each query, and the confidence that judges it.

    Raises:
        ValueError: there are no queries, or none with a hit.
    """
    first = [
        (confidence.probabilities(query.hits[:DEPTH])[0], query.hits[0][0] in query.right)
        for query, confidence in judged
        if query.hits
    ]
    bins = reliability_bins([probability for probability, _ in first], [is_right for _, is_right in first])
    without = np.array([confidence.false_positive_rate(query.wrong) for query, confidence in judged])
    as_they_are = np.array([confidence.false_positive_rate(query.hits) for query, confidence in judged])
    return Reliability(
        bins=bins,
        error=expected_calibration_error(bins),
        num_queries=len(judged),
        false_positives={rate: float((without <= rate).mean()) for rate in FALSE_POSITIVE_RATES},
        found={rate: float((as_they_are <= rate).mean()) for rate in FALSE_POSITIVE_RATES},
    )


def held_out_reliability(judged: Sequence[JudgedHits], *, parts: int = 5, seed: int = 0) -> Reliability:
    """Measures on every query a confidence that was fitted on the queries of the other parts (cross-validation).

    Args:
        judged: queries with what was found for them.
        parts: number of parts.
        seed: seed of who is in which part.

    Raises:
        ValueError: as `fit_confidence`, of the queries of the other parts.
    """
    least = math.ceil(LEAST_QUERIES * parts / (parts - 1))
    if len(judged) < least:
        raise ValueError(f"a confidence is learned from {least} judged queries or more, got {len(judged)}")
    part_of = np.random.default_rng(seed).permutation(len(judged)) % parts
    fitted = [
        fit_confidence(
            [query for query, part in zip(judged, part_of, strict=True) if part != held_out],
            num_videos=0,
            sources=(),
            level_weights={},
        )
        for held_out in range(parts)
    ]
    return measure_reliability([(query, fitted[part]) for query, part in zip(judged, part_of, strict=True)])
