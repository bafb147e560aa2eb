"""How a source's best hit scores for queries that it does not answer, known without judging any query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from video_colbert.index.fusion.ranked_list import FloatArray, RankedList

# Wrong first hits weigh so much against a right one, of any score in ten deviations: sqrt(2 pi) / 10 before the odds,
# which are one to three.
_DOUBT = 12.0
# Of the normal distribution.
_NINETIETH_PERCENTILE = 1.2815515655446004
# A score within this share of the largest is that of the same text in another video.
_SAME = 1e-4
_LEAST_QUERIES = 10


@dataclass(frozen=True)
class MadeQuery:
    """A text of the collection, asked as if it were a query: what the sources that do not hold it find is wrong.

    Attributes:
        lists: by source, pairs of a video's id and its score, the best first.
        source: where the text is from.
        video: the video that it is from.
    """

    lists: Mapping[str, Sequence[tuple[str, float]]]
    source: str
    video: str


@dataclass(frozen=True)
class SourceBackground:
    """The distribution of a source's best wrong score.

    Attributes:
        centre: its median, in the source's unit.
        deviation: how far its ninetieth percentile lies above, in standard deviations of a normal distribution.
    """

    centre: float
    deviation: float

    def probabilities(self, ranked: RankedList) -> FloatArray:
        """How likely each hit of a list is the right one.

        The best wrong hit is taken to score normally around the centre, and a right one anything, so that by Bayes's
        rule with one right video or none

            p_i = exp(x_i) / (12 + sum_j exp(x_j)),   x_i = z_i |z_i| / 2,

        z_i being the score in deviations from the centre. The 12 is a choice: at the centre p is .08, three deviations
        above it .88.

        Args:
            ranked: the list.

        Returns:
            float64 [len(ranked)], their sum below 1.

        Example:
            >>> ranked = RankedList.of("speech", [("a.mp4", 0.9), ("b.mp4", 0.5)])
            >>> SourceBackground(centre=0.5, deviation=0.1).probabilities(ranked).round(2).tolist()
            [1.0, 0.0]
        """
        if not len(ranked):
            return np.zeros(0)
        deviations = (ranked.scores - self.centre) / self.deviation
        excess = deviations * np.abs(deviations) / 2.0
        # All are divided by the largest, which may be too large for a number.
        largest = max(float(excess[0]), 0.0)
        likelihoods = np.exp(excess - largest)
        return np.asarray(likelihoods / (_DOUBT * np.exp(-largest) + likelihoods.sum()))


@dataclass(frozen=True)
class BackgroundsByLength:
    """A source's backgrounds for queries of several lengths: a score may be a sum over the words of a query.

    Attributes:
        points: pairs of a length in letters and the background of such queries, the shortest first; at least one.
    """

    points: Sequence[tuple[float, SourceBackground]]

    def of(self, letters: int) -> SourceBackground:
        """The background of queries of a length: on a straight line between points, and beyond them the last one.

        Args:
            letters: of the query.

        Example:
            >>> known = BackgroundsByLength([(10.0, SourceBackground(1.0, 0.5)), (20.0, SourceBackground(2.0, 0.5))])
            >>> known.of(15), known.of(40)
            (SourceBackground(centre=1.5, deviation=0.5), SourceBackground(centre=2.0, deviation=0.5))
        """
        lengths = [length for length, _ in self.points]
        centre = np.interp(letters, lengths, [each.centre for _, each in self.points])
        deviation = np.interp(letters, lengths, [each.deviation for _, each in self.points])
        return SourceBackground(float(centre), float(deviation))


def fit_backgrounds_by_length(made: Mapping[float, Sequence[MadeQuery]]) -> dict[str, BackgroundsByLength]:
    """Backgrounds of sources, from texts of the collection of several lengths.

    Args:
        made: by length in letters, texts with what every source finds for them.

    Returns:
        By source; one without any background has none.

    Raises:
        ValueError: as `fit_backgrounds`.
    """
    points: dict[str, list[tuple[float, SourceBackground]]] = {}
    for length in sorted(made):
        for source, background in fit_backgrounds(made[length]).items():
            points.setdefault(source, []).append((length, background))
    return {source: BackgroundsByLength(tuple(of_source)) for source, of_source in points.items()}


def fit_backgrounds(made: Sequence[MadeQuery]) -> dict[str, SourceBackground]:
    """Backgrounds of sources, from what they find for texts of the collection besides the texts' own videos.

    Args:
        made: texts of the collection with what every source finds for them.

    Returns:
        By source; one of fewer than ten wrong hits, or whose wrong hits all score the same, has none.

    Raises:
        ValueError: a list is no ranked list, see `RankedList.of`.
    """
    wrong: dict[str, list[float]] = {}
    for query in made:
        for source, hits in query.lists.items():
            ranked = RankedList.of(source, hits)
            is_other = np.array([video != query.video for video in ranked.ids], dtype=bool)
            if source == query.source and len(ranked):
                # The same text may be that of other videos, which then are no wrong hits.
                is_other &= ranked.scores < ranked.scores[0] - _SAME * abs(ranked.scores[0])
            if is_other.any():
                wrong.setdefault(source, []).append(float(ranked.scores[is_other][0]))
    backgrounds = {}
    for source, scores in wrong.items():
        centre, high = np.quantile(scores, (0.5, 0.9))
        if len(scores) >= _LEAST_QUERIES and high > centre:
            backgrounds[source] = SourceBackground(float(centre), float((high - centre) / _NINETIETH_PERCENTILE))
    return backgrounds
