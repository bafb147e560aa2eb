"""A search by cells: which are read, and which of the videos in them are scored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from video_colbert.index.search.cells.candidate_rounds import (
    DEVIATIONS,
    FIRST_ROUND,
    CandidateRounds,
    Candidates,
    ScorePart,
)
from video_colbert.index.search.cells.video_cells import CellScores, VideoCells
from video_colbert.index.search.scoring import BoundedScores

# Of the videos that may be read, those that are read before any is scored.
_FIRST_SHARE = 0.1
# By how much more cells are taken where those taken hold too few allowed videos.
_WIDENING = 4.0


@torch.inference_mode()
def score_from_cells(
    cells: VideoCells,
    query: Tensor,
    read_share: float,
    num_candidates: int,
    is_allowed: Tensor | None,
    parts: Sequence[ScorePart],
    count: int,
) -> tuple[Tensor, BoundedScores]:
    """Finds candidates in cells, and scores those that may be among the best.

    A tenth of what may be read is read first, in the most promising cells. The scores of the best videos there say
    what must be predicted of any other one. Of the other cells those are read in which a video would reach that if it
    stood as far above its centroid as the best in the first cells do, with 4.25 standard deviations to spare.

    Args:
        cells: of a source.
        query: float32 [R], a query's vector.
        read_share: of all videos, those whose vectors may be read; the fewer a filter allows, the more are.
        num_candidates: videos that may be scored.
        is_allowed: bool [N], the videos that a filter allows, at least one; None for all.
        parts: of the scores, at least one.
        count: best rows that are wanted.

    Returns:
        The rows that were scored, int64 [m] increasing, and their scores [1, m].

    Raises:
        DamagedCellsError: the cells are not what was written.
    """
    wanted = min(num_candidates, max(FIRST_ROUND, count))
    if is_allowed is not None:
        allowed = int(is_allowed.sum())
        read_share, wanted = min(1.0, read_share * len(is_allowed) / allowed), min(wanted, allowed)
    order = cells.order(query)
    first = _FIRST_SHARE * read_share
    number = order.number_for(first)
    read = cells.read(query, order.cells[:number])
    while True:
        candidates = _candidates(read, is_allowed)
        if len(candidates.rows) >= wanted or number == len(order.cells):
            break
        first *= _WIDENING
        begin, number = number, order.number_for(first)
        read = read.followed_by(cells.read(query, order.cells[begin:number]))
    rounds = CandidateRounds(parts, count)
    least = rounds.score_all(candidates, num_candidates)
    above = (read.best - order.products[:number])[read.best.isfinite()]
    reach = float(above.mean() + DEVIATIONS * above.std()) if len(above) > 1 else float("inf")
    last = order.number_for(read_share)
    may_hold_more = (order.products[number:last] + reach >= least).numpy()
    others = order.cells[number:last][may_hold_more]
    if len(others):
        more = _candidates(cells.read(query, others), is_allowed, least)
        if len(best := more.best(num_candidates - rounds.number)):
            rounds.score(more.at(best))
    return rounds.found()


def _candidates(read: CellScores, is_allowed: Tensor | None, least: float = float("-inf")) -> Candidates:
    """The allowed videos of which at least so much is predicted."""
    kept = read.predicted >= least
    if is_allowed is not None:
        kept &= is_allowed[read.rows]
    return Candidates(read.rows[kept], read.predicted[kept])
