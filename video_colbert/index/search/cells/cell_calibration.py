"""How many cells, and candidates in them, a recall takes, measured on the index itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.candidate_calibration import count_candidates
from video_colbert.index.search.cells.video_cells import VideoCells
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.scoring import score_bags

# Shares of all videos whose vectors a search may read.
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
# A number of a candidate's tokens is copied, compared, brought to float32 and multiplied; one of a vector multiplied.
_COST_OF_TOKENS = 4.0


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
        order = cells.order(vector)
        place_of_cell = np.empty_like(order.cells)
        place_of_cell[order.cells] = every
        place = torch.from_numpy(place_of_cell[cell_of_row])
        read = cells.read(vector, every)
        scores = torch.full((num_videos,), float("-inf"))
        scores[read.rows] = read.predicted
        for number, share in enumerate(_SHARES):
            is_read = place < order.number_for(share)
            of_read = scores[is_read]
            for hit in is_read[best[query]].nonzero()[:, 0].tolist():
                ranks[number, query, hit] = int((of_read > scores[best[query, hit]]).sum())
    found: list[tuple[float, float, int, float]] = []
    for number, share in enumerate(_SHARES):
        num_candidates, recall = count_candidates(ranks[number], recall_target)
        if num_candidates <= num_videos:
            compared = share * num_videos * cells.axes.width
            found.append(
                (compared + _COST_OF_TOKENS * num_candidates * numbers_a_video, share, num_candidates, recall)
            )
    _, share, num_candidates, recall = min(found)
    return share, num_candidates, recall
