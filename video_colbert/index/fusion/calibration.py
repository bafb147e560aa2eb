"""How likely a source's hit is right, by a logistic regression on its score and margin, fitted on judged queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from video_colbert.index.fusion.evidence import log_odds, probabilities_of_list
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.fusion.ranked_list import FloatArray, RankedList

# Of each list, the hits that a calibration is fitted on: further ones are wrong nearly always.
_FITTED_HITS = 10
_RIDGE = 1.0
_MOST_STEPS = 100


@dataclass(frozen=True)
class SourceCalibration:
    """The logarithm of the odds that a source's hit is right, as a sum (Platt, Probabilities for SV Machines, 1999).

    Attributes:
        intercept: for a hit of score, margin and outstandingness zero.
        score: for each unit of the source's score.
        margin: for each unit of `RankedList.margins`.
        outstanding: for each unit of the log odds of `probabilities_of_list`.
    """

    intercept: float
    score: float
    margin: float
    outstanding: float

    def probabilities(self, ranked: RankedList) -> FloatArray:
        """How likely each hit of a list is right, each by itself: float64 [len(ranked)]."""
        coefficients = np.array([self.score, self.margin, self.outstanding])
        return _sigmoid(self.intercept + hit_features(ranked) @ coefficients)


def fit_calibrations(judged: Sequence[JudgedQuery]) -> dict[str, SourceCalibration]:
    """A calibration for each source, from the first ten hits of its lists.

    Args:
        judged: queries with their right videos.

    Returns:
        By source, for the sources whose lists hold both right and wrong hits.

    Raises:
        ValueError: a list is not a ranked list, see `RankedList.of`, or no source has both right and wrong hits.
    """
    features: dict[str, list[FloatArray]] = {}
    labels: dict[str, list[FloatArray]] = {}
    for query in judged:
        for source, hits in query.lists.items():
            ranked = RankedList.of(source, hits)
            features.setdefault(source, []).append(hit_features(ranked)[:_FITTED_HITS])
            is_right = [float(video in query.right) for video in ranked.ids[:_FITTED_HITS]]
            labels.setdefault(source, []).append(np.array(is_right))
    calibrations = {}
    for source in features:
        label = np.concatenate(labels[source])
        if 0 < label.sum() < len(label):
            calibrations[source] = fit_logistic(np.concatenate(features[source]), label)
    if not calibrations:
        raise ValueError("no source has both right and wrong hits among its first ten, so none can be calibrated")
    return calibrations


def hit_features(ranked: RankedList) -> FloatArray:
    """Score, margin and log odds of `probabilities_of_list` of each hit: float64 [len(ranked), 3]."""
    return np.stack([ranked.scores, ranked.margins, log_odds(probabilities_of_list(ranked))], axis=1)


def fit_logistic(features: FloatArray, label: FloatArray) -> SourceCalibration:
    """Fits a calibration to hits.

    The likelihood is maximised by Newton's method, with a ridge of 1 on the coefficients of standardised features, so
    that hits which can be told apart without an error keep finite coefficients.

    Args:
        features: float64 [hits, 3], as `hit_features` gives them.
        label: float64 [hits], 1 for what is to be likely and 0 for what is not; both are there.
    """
    centre, spread = features.mean(axis=0), features.std(axis=0)
    # A feature that never changes says nothing, and gets no coefficient.
    spread = np.where(spread > 0.0, spread, np.inf)
    inputs = np.hstack([np.ones((len(features), 1)), (features - centre) / spread])
    ridge = np.diag([0.0] + [_RIDGE] * features.shape[1])
    coefficients = np.zeros(inputs.shape[1])
    coefficients[0] = np.log(label.mean() / (1.0 - label.mean()))
    for _ in range(_MOST_STEPS):
        probability = _sigmoid(inputs @ coefficients)
        gradient = inputs.T @ (probability - label) + ridge @ coefficients
        curvature = (inputs * (probability * (1.0 - probability))[:, None]).T @ inputs + ridge
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        loss = _loss(inputs, label, ridge, coefficients)
        # Far from the optimum a whole step may overshoot.
        while _loss(inputs, label, ridge, coefficients - step) > loss and np.abs(step).max() > 1e-12:
            step = step / 2.0
        coefficients = coefficients - step
        if np.abs(step).max() < 1e-10:
            break
    slopes = coefficients[1:] / spread
    return SourceCalibration(float(coefficients[0] - slopes @ centre), *map(float, slopes))


def _loss(inputs: FloatArray, label: FloatArray, ridge: FloatArray, coefficients: FloatArray) -> float:
    logits = inputs @ coefficients
    return float((np.logaddexp(0.0, logits) - label * logits).sum() + coefficients @ ridge @ coefficients / 2.0)


def _sigmoid(logits: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))
