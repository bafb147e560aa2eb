"""Weights of sources, learned on judged queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from video_colbert.index.fusion.evidence import probabilities_of_list, standardised
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.fusion.ranked_list import FloatArray, RankedList

_RIDGE = 0.01
_MOST_STEPS = 100


@dataclass(frozen=True)
class SourceWeights:
    """What a source's list adds to a video's fused score.

    Attributes:
        standardised: for each unit of `standardised`.
        probability: for each unit of `probabilities_of_list`.
    """

    standardised: float
    probability: float

    def parts(self, ranked: RankedList) -> FloatArray:
        """What the list adds for each of its hits: float64 [len(ranked)]."""
        return np.asarray(_features(ranked) @ np.array([self.standardised, self.probability]))

    def unlisted(self, ranked: RankedList) -> float:
        """What the list adds for a video that is not in it: as much as for its last hit, of probability zero."""
        return float(_unlisted(ranked) @ np.array([self.standardised, self.probability]))


def fit_weights(judged: Sequence[JudgedQuery]) -> dict[str, SourceWeights]:
    """The weights under which the right videos win most surely.

    They maximise the mean over the queries of the logarithm of the share that the right videos have in
    sum_v exp(score of v), over all videos that any source lists (the conditional logit of McFadden, 1974; with several
    right videos the mean over them), less .01 times half the sum of their squares. Newton's method finds the maximum.

    Args:
        judged: queries with their right videos. Those whose right videos no source lists teach nothing.

    Returns:
        By source.

    Raises:
        ValueError: a list is not a ranked list, see `RankedList.of`, or no query has a right video in a list.
    """
    sources = sorted({source for query in judged for source in query.lists})
    examples = [example for query in judged if (example := _example(query, sources)) is not None]
    if not examples:
        raise ValueError("of no judged query does any source list a right video, so no weights can be learned")
    weights = np.zeros(2 * len(sources))
    value = _objective(examples, weights)
    for _ in range(_MOST_STEPS):
        gradient, curvature = -_RIDGE * weights, _RIDGE * np.eye(len(weights))
        for features, target in examples:
            share = _softmax(features @ weights)
            mean = share @ features
            gradient = gradient + (target @ features - mean) / len(examples)
            centred = features - mean
            curvature = curvature + (centred * share[:, None]).T @ centred / len(examples)
        step = np.linalg.solve(curvature, gradient)
        # Far from the maximum a whole step may overshoot.
        while (after := _objective(examples, weights + step)) < value and np.abs(step).max() > 1e-12:
            step = step / 2.0
        weights, value = weights + step, after
        if np.abs(step).max() < 1e-10:
            break
    pairs = weights.reshape(-1, 2)
    return {source: SourceWeights(float(pair[0]), float(pair[1])) for source, pair in zip(sources, pairs, strict=True)}


def _example(query: JudgedQuery, sources: Sequence[str]) -> tuple[FloatArray, FloatArray] | None:
    """Features of all listed videos, [videos, 2 x sources], and which are right, as shares; None if none is."""
    videos = list(dict.fromkeys(video for hits in query.lists.values() for video, _ in hits))
    row = {video: number for number, video in enumerate(videos)}
    target = np.array([float(video in query.right) for video in videos])
    if not target.any():
        return None
    features = np.zeros((len(videos), 2 * len(sources)))
    for number, source in enumerate(sources):
        ranked = RankedList.of(source, query.lists.get(source, ()))
        columns = slice(2 * number, 2 * number + 2)
        features[:, columns] = _unlisted(ranked)
        features[np.array([row[video] for video in ranked.ids], dtype=int), columns] = _features(ranked)
    return features, target / target.sum()


def _features(ranked: RankedList) -> FloatArray:
    return np.stack([standardised(ranked), probabilities_of_list(ranked)], axis=1)


def _unlisted(ranked: RankedList) -> FloatArray:
    return np.array([standardised(ranked)[-1] if len(ranked) else 0.0, 0.0])


def _objective(examples: Sequence[tuple[FloatArray, FloatArray]], weights: FloatArray) -> float:
    shares = [target @ np.log(_softmax(features @ weights) + 1e-300) for features, target in examples]
    return float(np.mean(shares) - _RIDGE * weights @ weights / 2.0)


def _softmax(scores: FloatArray) -> FloatArray:
    likelihoods = np.exp(scores - scores.max())
    return np.asarray(likelihoods / likelihoods.sum())
