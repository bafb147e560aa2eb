"""How well each hit of an answer fits, as people read it: from a video picked at random to the best hit.

Scores of two models have neither zero nor unit in common, so that a share of the best score says nothing: 0.9 for any
video where a model's scores lie close together, 0 for nearly all where they lie around 0. The median of the query's
scores over the index is taken for what a video picked at random has:

    relevance = (score - median) / (best - median), and 0 below the median

A score that several sources were fused to is the probability of being the right one. Its logarithmic odds take the
place of the score, and those of one in all videos that of the median.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from video_colbert.encoding.hits import SearchHit

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.index.search.level_bags import LevelBags

# Nothing is surer than this, nor less sure.
_LEAST_DOUBT = 1e-9


def relevances(hits: Sequence[SearchHit], at_random: float | None, num_videos: int) -> list[float]:
    """The relevance of each hit, from 0 to 1; that of the first is 1.

    Args:
        hits: of one answer, best first.
        at_random: score of a video picked at random; None where it is not known, and is taken for 0, as it is of
            words that must stand in a passage.
        num_videos: videos of the index.

    Example:
        >>> from video_colbert.encoding.hits import SearchHit
        >>> hits = [SearchHit(1, "a.mp4", 0.0, 4.0, 0.31, {}, ()), SearchHit(2, "b.mp4", 0.0, 4.0, 0.25, {}, ())]
        >>> [round(share, 2) for share in relevances(hits, 0.21, 1000)]
        [1.0, 0.4]
    """
    scores = [hit.score for hit in hits]
    if any(hit.is_fused for hit in hits):
        scores = [_log_odds(score) for score in scores]
        at_random = _log_odds(1.0 / max(2, num_videos))
    best, low = max(scores, default=0.0), at_random or 0.0
    return [1.0 if score >= best else max(0.0, score - low) / (best - low) if best > low else 0.0 for score in scores]


def score_at_random(queries: EncodedQueries, sample: LevelBags) -> float | None:
    """The score of a video picked at random: the median over a sample.

    Args:
        queries: one query.
        sample: the tokens of some videos of the index.

    Returns:
        None where no video of the sample has a score.
    """
    from video_colbert.index.search.scoring import score_bags

    [scores] = score_bags(queries, sample).scores
    known = scores[scores.isfinite()]
    return float(known.median()) if len(known) else None


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, _LEAST_DOUBT), 1.0 - _LEAST_DOUBT)
    return math.log(bounded / (1.0 - bounded))
