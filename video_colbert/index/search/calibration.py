"""What a calibration of a search by candidates found, as an index keeps it, and when a search takes one."""

from __future__ import annotations

import math
from dataclasses import dataclass

METHODS = ("pooled", "reduced", "cells")
"""What may order the candidates of a search."""

EXACT_LIMIT = 20_000
"""Videos up to which all are scored: two cores scan them, at 26 tokens of 512 dimensions, in about 50 ms."""

CELLS_LIMIT = 300_000
"""Videos up to which all are looked at for candidates; above, cells keep time and memory from growing with them."""

# Times of the videos that a calibration was made with, from which on it is made anew; cells are found anew with it.
_GROWTH, _GROWTH_OF_CELLS = 2.0, 1.5


@dataclass(frozen=True)
class Calibration:
    """What a calibration found; it can be stored and handed to a later `Searcher`.

    Attributes:
        method: what orders the candidates: `pooled` vectors or `reduced` tokens of all videos, or score vectors of
            those in some of the `cells`.
        recall_target: share of the exact best videos that must be among the candidates.
        recall: share that was, over all calibration queries.
        top_k: best videos of each query that were looked for.
        num_candidates: candidates that reach the target.
        num_queries: calibration queries.
        real_queries: whether they were a user's queries rather than made from stored tokens.
        num_videos: videos that the source had.
        read_share: of all videos, those that are ordered.
    """

    method: str
    recall_target: float
    recall: float
    top_k: int
    num_candidates: int
    num_queries: int
    real_queries: bool
    num_videos: int
    read_share: float = 1.0

    def candidates_for(self, top_k: int, num_videos: int) -> int:
        """Candidates for another number of hits and of videos, in proportion, but never fewer."""
        hits = max(1.0, top_k / self.top_k)
        videos = max(1.0, num_videos / self.num_videos)
        return min(num_videos, math.ceil(self.num_candidates * hits * videos))

    def is_outgrown(self, num_videos: int) -> bool:
        """Whether a source of so many videos is to be calibrated anew.

        So it is when it has doubled, or with cells grown by half, and when it has become large enough for cells.
        """
        growth = _GROWTH_OF_CELLS if self.method == "cells" else _GROWTH
        return num_videos > growth * self.num_videos or self.num_videos <= CELLS_LIMIT < num_videos
