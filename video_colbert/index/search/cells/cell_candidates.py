"""Candidates from cells: which videos they are, and how many cells and videos a recall takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.candidate_calibration import count_candidates
from video_colbert.index.search.cells.candidate_rounds import RankedCandidates
from video_colbert.index.search.cells.video_cells import VideoCells
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.scoring import score_bags

# Shares of all videos whose vectors a search may read.
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
# A number of a candidate's tokens is copied, compared, brought to float32 and multiplied; one of a vector multiplied.
_COST_OF_TOKENS = 4.0
# By how much more cells are taken where those taken hold too few allowed videos.
_WIDENING = 4.0


def cell_candidates(
    cells: VideoCells,
    queries: EncodedQueries,
    num_candidates: int,
    share: float,
    allowed: Tensor | None,
    num_videos: int,
) -> list[RankedCandidates]:
    """The candidates of each query.

    Args:
        cells: of a source.
        queries: Nq encoded queries.
        num_candidates: candidates of a query, at most as many as there are allowed videos.
        share: of all videos, those whose vectors are read.
        allowed: int64 rows that a filter allows, increasing; None for all. The fewer they are, the more cells are
            read.
        num_videos: videos of the source.

    Raises:
        DamagedCellsError: the cells are not what was written.
    """
    is_allowed = None
    if allowed is not None:
        is_allowed = torch.zeros(num_videos, dtype=torch.bool)
        is_allowed[allowed] = True
        share = min(1.0, share * num_videos / len(allowed))
    candidates = []
    for vector in cells.axes.of_queries(queries):
        taken = share
        while True:
            rows, scores = cells.scores(vector, cells.cells_of(vector, taken))
            if is_allowed is not None:
                kept = is_allowed[rows]
                rows, scores = rows[kept], scores[kept]
            if len(rows) >= num_candidates or taken >= 1.0:
                break
            taken = min(1.0, _WIDENING * taken)
        best = scores.topk(min(num_candidates, len(rows)))
        candidates.append(RankedCandidates(rows[best.indices], best.values))
    return candidates


def exact_best(queries: EncodedQueries, parts: Iterator[LevelBags], top_k: int) -> Tensor:
    """The exact best rows of each query, int64 [Nq, k], best first, holding the tokens of one part at a time.

    Args:
        queries: Nq encoded queries.
        parts: the bags of all videos in order.
        top_k: rows a query, at most.
    """
    scores, rows, first = torch.zeros(len(queries.texts), 0), torch.zeros(len(queries.texts), 0).long(), 0
    for bags in parts:
        of_part = score_bags(queries, bags).scores
        scores = torch.cat([scores, of_part], dim=1)
        rows = torch.cat([rows, torch.arange(first, first + bags.num_videos).expand(len(rows), -1)], dim=1)
        first += bags.num_videos
        best = scores.topk(min(top_k, scores.shape[1]), dim=1)
        scores, rows = best.values, rows.gather(1, best.indices)
    return rows


def calibrated_cells(
    cells: VideoCells,
    queries: EncodedQueries,
    best: Tensor,
    recall_target: float,
    num_videos: int,
    numbers_a_video: float,
) -> tuple[float, int, float]:
    """The share of videos to read and the number of candidates that reach a recall at the least work.

    Args:
        cells: of a source.
        queries: Nq encoded queries.
        best: int64 [Nq, k], the exact best rows.
        recall_target: share of them that must be among the candidates.
        num_videos: videos of the source.
        numbers_a_video: numbers in the tokens of a video.

    Returns:
        The share, the number of candidates, and the recall that they have on these queries.

    Raises:
        DamagedCellsError: the cells are not what was written.
    """
    cell_of_row = cells.cell_of_rows(num_videos)
    every = np.arange(len(cells.centroids))
    ranks = torch.full((len(_SHARES), *best.shape), num_videos)
    for query, vector in enumerate(cells.axes.of_queries(queries)):
        order, held = cells.order(vector)
        place_of_cell = np.empty_like(order)
        place_of_cell[order] = every
        place = torch.from_numpy(place_of_cell[cell_of_row])
        rows, products = cells.scores(vector, every)
        scores = torch.full((num_videos,), float("-inf"))
        scores[rows] = products
        for number, share in enumerate(_SHARES):
            last = int(np.searchsorted(held, share))
            is_read = place <= last
            of_read = scores[is_read]
            for hit in is_read[best[query]].nonzero()[:, 0].tolist():
                ranks[number, query, hit] = int((of_read > scores[best[query, hit]]).sum())
    found: list[tuple[float, float, int, float]] = []
    for number, share in enumerate(_SHARES):
        num_candidates, recall = count_candidates(ranks[number], recall_target)
        if num_candidates <= num_videos:
            read = share * num_videos * cells.axes.width
            found.append((read + _COST_OF_TOKENS * num_candidates * numbers_a_video, share, num_candidates, recall))
    _, share, num_candidates, recall = min(found)
    return share, num_candidates, recall
