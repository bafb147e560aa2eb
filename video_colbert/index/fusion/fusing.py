"""Ranked lists of several sources, such as pictures and speech, fused to one ranking."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from video_colbert.index.fusion.evidence import pooled, probabilities_of_list, reciprocal_ranks, standardised
from video_colbert.index.fusion.parameters import NO_PARAMETERS, FusionParameters
from video_colbert.index.fusion.ranked_list import FloatArray, RankedList

FusionMethod = Literal["calibrated", "reciprocal", "standardised", "max", "learned", "router"]
"""How lists are fused."""

FUSION_METHODS: tuple[FusionMethod, ...] = get_args(FusionMethod)
DEFAULT_METHOD: FusionMethod = "calibrated"


@dataclass(frozen=True)
class FusedHit:
    """A video of the fused ranking.

    Attributes:
        id: of the video.
        score: what it is ranked by; see `fuse` for its unit.
        ranks: by source that lists it, its rank there, from 1.
        scores: by source that lists it, its score there.
        parts: by source that lists it, what that source's list brings to the score.
    """

    id: str
    score: float
    ranks: Mapping[str, int] = field(hash=False)
    scores: Mapping[str, float] = field(hash=False)
    parts: Mapping[str, float] = field(hash=False)

    @property
    def source(self) -> str:
        """The source that brings most; of several the first."""
        return max(self.parts, key=self.parts.__getitem__)


def fuse(
    lists: Mapping[str, Sequence[tuple[str, float]]],
    *,
    method: FusionMethod = DEFAULT_METHOD,
    parameters: FusionParameters = NO_PARAMETERS,
    limit: int | None = None,
) -> list[FusedHit]:
    """One ranking of the videos that any source lists.

    Method | Score of a video | A source that does not list it
    --- | --- | ---
    calibrated | the probability that one source or other is right, 1 - prod(1 - p) | p = 0
    reciprocal | sum of 1 / (60 + rank), `reciprocal_ranks` | adds nothing
    standardised | sum of the scores in standard deviations, `standardised` | adds what its last hit gets
    max | largest of the standardised scores (CombMAX of Fox and Shaw, 1994) | does not count
    learned | weighted sum of standardised scores and probabilities, `SourceWeights` | adds `SourceWeights.unlisted`
    router | p in the one source whose first hit has the largest p | is left out of the ranking

    p is that of the source's calibration in the parameters. Without one, two opinions are `pooled`, for which nobody
    judges: how far the hit scores above wrong ones of that source, by its background in the parameters, and how it
    stands out of its list, `probabilities_of_list`. They err in different ways: a background is of other queries,
    which may be easier, and the first of a list of wrong hits may stand out by chance. Without a background, p is that
    of the list.

    Args:
        lists: by source, pairs of a video's id and its score, each video once and the best first. The longer they
            are, the more is known of each source's noise: some hundred, or all. An empty list says nothing.
        method: how they are fused.
        parameters: what is known of the sources.
        limit: number of videos to return; by default all.

    Returns:
        The best first; of equal scores that with the better rank in any source, then by id.

    Raises:
        ValueError: an unknown method, a list that is no ranked list (see `RankedList.of`), or "learned" without
            weights for one of the sources; the message names it.

    Example:
        >>> lists = {
        ...     "video": [("a.mp4", 0.31), ("b.mp4", 0.30), ("c.mp4", 0.29), ("d.mp4", 0.28)],
        ...     "speech": [("d.mp4", 0.90), ("c.mp4", 0.42), ("b.mp4", 0.41), ("a.mp4", 0.40)],
        ... }
        >>> best, *_ = fuse(lists)
        >>> best.id, best.source, best.ranks
        ('d.mp4', 'speech', {'video': 4, 'speech': 1})
    """
    if method not in FUSION_METHODS:
        raise ValueError(f"a fusion must be one of {', '.join(FUSION_METHODS)}, got {method!r}")
    ranked = {source: RankedList.of(source, hits) for source, hits in lists.items()}
    filled = {source: each for source, each in ranked.items() if len(each)}
    parts = {source: _PARTS[method](source, each, parameters) for source, each in filled.items()}
    unlisted: dict[str, float] = {}
    if method == "standardised":
        unlisted = {source: float(part[-1]) for source, part in parts.items()}
    elif method == "learned":
        unlisted = {source: parameters.weights[source].unlisted(each) for source, each in filled.items()}
    elif method == "router" and filled:
        asked = max(parts, key=lambda source: float(parts[source][0]))
        filled = {asked: filled[asked]}
    hits = _fused_hits(filled, parts, unlisted, method)
    return sorted(hits, key=lambda hit: (-hit.score, min(hit.ranks.values()), hit.id))[:limit]


def _calibrated(source: str, ranked: RankedList, parameters: FusionParameters) -> FloatArray:
    if source in parameters.calibrations:
        return parameters.calibrations[source].probabilities(ranked)
    if source in parameters.backgrounds:
        return pooled(parameters.backgrounds[source].probabilities(ranked), probabilities_of_list(ranked))
    return probabilities_of_list(ranked)


def _learned(source: str, ranked: RankedList, parameters: FusionParameters) -> FloatArray:
    if source not in parameters.weights:
        known = ", ".join(parameters.weights) or "none"
        raise ValueError(f"fusion 'learned' needs a weight for {source}; those learned are for: {known}")
    return parameters.weights[source].parts(ranked)


_PARTS: Mapping[FusionMethod, Callable[[str, RankedList, FusionParameters], FloatArray]] = {
    "calibrated": _calibrated,
    "reciprocal": lambda source, ranked, parameters: reciprocal_ranks(ranked),
    "standardised": lambda source, ranked, parameters: standardised(ranked),
    "max": lambda source, ranked, parameters: standardised(ranked),
    "learned": _learned,
    "router": _calibrated,
}


def _fused_hits(
    lists: Mapping[str, RankedList],
    parts: Mapping[str, FloatArray],
    unlisted: Mapping[str, float],
    method: FusionMethod,
) -> list[FusedHit]:
    """Hits in no order; `unlisted` is what each source adds to the videos that it does not list."""
    positions: dict[str, dict[str, int]] = {}
    for source, ranked in lists.items():
        for position, video in enumerate(ranked.ids):
            positions.setdefault(video, {})[source] = position
    by_source = {source: (ranked.scores.tolist(), parts[source].tolist()) for source, ranked in lists.items()}
    missing = sum(unlisted.values())
    hits = []
    for video, listed in positions.items():
        part = {source: by_source[source][1][position] for source, position in listed.items()}
        score = _combined(part.values(), method) + missing - sum(unlisted.get(source, 0.0) for source in listed)
        ranks = {source: position + 1 for source, position in listed.items()}
        scores = {source: by_source[source][0][position] for source, position in listed.items()}
        hits.append(FusedHit(video, score, ranks, scores, part))
    return hits


def _combined(parts: Collection[float], method: FusionMethod) -> float:
    """The score of a video from the parts of the sources that list it."""
    if method == "max":
        return max(parts)
    if method == "calibrated":
        return 1.0 - math.prod(1.0 - part for part in parts)
    return sum(parts)
