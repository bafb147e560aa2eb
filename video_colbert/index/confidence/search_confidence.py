"""How likely a hit is right, and how often a query for a video that is not there has a first hit as good."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from video_colbert.encoding.hits import SearchHit
from video_colbert.index.fusion.calibration import SourceCalibration, fit_calibrations, fit_logistic, hit_features
from video_colbert.index.fusion.evidence import log_odds
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.fusion.ranked_list import FloatArray, RankedList

DEPTH = 40
"""Hits of a query that each of them is compared with; further ones change nothing."""

LEAST_QUERIES = 50
"""Judged queries from which a confidence is fitted."""

_MOST_KEPT = 400
_LIST = "hits"


@dataclass(frozen=True)
class JudgedHits:
    """A query whose right videos are known, with what a search finds for it.

    Attributes:
        hits: pairs of a video and its score, as `listed` gives them, the best first; `DEPTH` of them beside the right
            ones, where there are as many.
        right: videos that answer the query.
    """

    hits: Sequence[tuple[str, float]]
    right: frozenset[str]

    @property
    def wrong(self) -> list[tuple[str, float]]:
        """The hits that are left when the right videos are taken out of the index."""
        return [(video, score) for video, score in self.hits if video not in self.right]


@dataclass(frozen=True)
class SearchConfidence:
    """What a search of an index knows of its hits.

    Attributes:
        calibration: the logarithm of the odds that a hit is right, from its score, how far it is above the others, and
            how it stands out of them (Platt, Probabilities for SV Machines, 1999).
        presence: likewise, the odds that a query's video is there at all, from the same facts of its first hit.
        absent: these odds' logarithms for judged queries whose right videos were taken out, ascending; of many
            queries, evenly spaced ones. At least one.
        num_queries: judged queries that both were fitted on.
        num_videos: videos of the index at that time. Among more of them, wrong hits score higher.
        sources: what was searched, as `choose_sources` names it. A search of other sources scores otherwise.
        level_weights: of the queries; empty where pictures were not searched. Likewise.
    """

    calibration: SourceCalibration
    presence: SourceCalibration
    absent: tuple[float, ...]
    num_queries: int
    num_videos: int
    sources: tuple[str, ...]
    level_weights: Mapping[str, float] = field(default_factory=dict, hash=False)

    def is_of(self, sources: Sequence[str], level_weights: Mapping[str, float]) -> bool:
        """Whether it was learned of searches of these sources with these weights of levels."""
        return self.sources == tuple(sources) and dict(self.level_weights) == dict(level_weights)

    def probabilities(self, hits: Sequence[tuple[str, float]]) -> FloatArray:
        """How likely each hit is right, for a query like those that were judged: float64 [hits].

        Args:
            hits: as `listed` gives them, at least `DEPTH` where there are as many; those beyond get 0.
        """
        found = np.zeros(len(hits))
        found[:DEPTH] = self.calibration.probabilities(RankedList.of(_LIST, hits[:DEPTH]))
        return found

    def false_positive_rate(self, hits: Sequence[tuple[str, float]]) -> float:
        """The share of queries for a video that is not there whose first hit is as good as this one.

            (1 + number of absent queries with at least its odds of presence) / (1 + number of absent queries)

        Whoever takes a query's video for found where this is at most `a`, is wrong for a share of at most `a` of the
        queries whose video is not there, if those come from where the judged ones do (the p-value of split conformal
        prediction; Vovk et al., Algorithmic Learning in a Random World, 2005).

        Args:
            hits: as `probabilities`; 1 where there are none.
        """
        if not hits:
            return 1.0
        best = _first_log_odds(self.presence, hits)
        as_good = len(self.absent) - int(np.searchsorted(self.absent, best, side="left"))
        return (1 + as_good) / (1 + len(self.absent))

    @property
    def lowest_rate(self) -> float:
        """The lowest false-positive rate that can be told."""
        return 1 / (1 + len(self.absent))

    def to_json(self) -> dict[str, Any]:
        """The confidence as JSON knows it, as `from_json` takes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Any) -> SearchConfidence:
        """A confidence of `to_json`.

        Raises:
            ValueError: another form.
        """
        try:
            fitted = {
                name: SourceCalibration(**{part: float(value) for part, value in record[name].items()})
                for name in ("calibration", "presence")
            }
            absent = tuple(float(value) for value in record["absent"])
            found = cls(
                fitted["calibration"],
                fitted["presence"],
                absent,
                int(record["num_queries"]),
                int(record["num_videos"]),
                tuple(map(str, record["sources"])),
                {str(level): float(weight) for level, weight in record["level_weights"].items()},
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("a search's confidence must be an object of the fields of SearchConfidence") from error
        numbers = (*absent, *(number for each in fitted.values() for number in dataclasses.astuple(each)))
        if not absent or not all(map(math.isfinite, numbers)):
            raise ValueError("a search's confidence must have finite numbers, and one of absent at least")
        return found


def listed(hits: Sequence[SearchHit]) -> list[tuple[str, float]]:
    """Pairs of a hit's video and its score; of a fused score, which is a probability, its log odds."""
    scores = np.array([hit.score for hit in hits], dtype=np.float64)
    if any(hit.is_fused for hit in hits):
        scores = log_odds(scores)
    return [(hit.video, float(score)) for hit, score in zip(hits, scores, strict=True)]


def with_probabilities(confidence: SearchConfidence, hits: Sequence[SearchHit]) -> tuple[list[SearchHit], float]:
    """Hits of one query with how likely each is right, and the query's false-positive rate."""
    pairs = listed(hits)
    likely = [
        dataclasses.replace(hit, probability=float(probability))
        for hit, probability in zip(hits, confidence.probabilities(pairs), strict=True)
    ]
    return likely, confidence.false_positive_rate(pairs)


def fit_confidence(
    judged: Sequence[JudgedHits], *, num_videos: int, sources: Sequence[str], level_weights: Mapping[str, float]
) -> SearchConfidence:
    """Fits how likely hits are right, from queries whose right videos are known.

    Every query serves twice: as it is, to tell right hits from wrong ones, and with its right videos taken out, to
    tell how good the first hit of a query is whose video is not there.

    Args:
        judged: the queries with their first `DEPTH` hits or more.
        num_videos: videos of the index.
        sources: what was searched.
        level_weights: of the queries.

    Raises:
        ValueError: fewer than `LEAST_QUERIES` queries, or their hits are all right or all wrong.
    """
    if len(judged) < LEAST_QUERIES:
        raise ValueError(f"a confidence is fitted on {LEAST_QUERIES} judged queries or more, got {len(judged)}")
    try:
        fitted = fit_calibrations([JudgedQuery({_LIST: query.hits[:DEPTH]}, query.right) for query in judged])
    except ValueError as error:
        raise ValueError("the judged queries have no right hit, or no wrong one, among their first ten") from error
    with_video = [_first_features(query.hits) for query in judged if query.hits]
    without = [_first_features(query.wrong) for query in judged if query.wrong]
    label = np.repeat([1.0, 0.0], [len(with_video), len(without)])
    presence = fit_logistic(np.array(with_video + without), label)
    first = [_first_log_odds(presence, query.wrong) for query in judged if query.wrong]
    kept = np.sort(first)
    if len(kept) > _MOST_KEPT:
        # The largest is always among them, so that no rate is told too low.
        kept = kept[np.linspace(0, len(kept) - 1, _MOST_KEPT).round().astype(int)]
    return SearchConfidence(
        fitted[_LIST],
        presence,
        tuple(kept.tolist()),
        len(judged),
        num_videos,
        tuple(sources),
        dict(level_weights),
    )


def _first_features(hits: Sequence[tuple[str, float]]) -> FloatArray:
    features: FloatArray = hit_features(RankedList.of(_LIST, hits[:DEPTH]))[0]
    return features


def _first_log_odds(presence: SourceCalibration, hits: Sequence[tuple[str, float]]) -> float:
    """The logarithm of the odds that a query's video is there, from its first hit."""
    slopes = np.array([presence.score, presence.margin, presence.outstanding])
    return float(presence.intercept + _first_features(hits) @ slopes)
