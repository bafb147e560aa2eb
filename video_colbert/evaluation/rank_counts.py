"""Where each query's first positive stands: the three counts that every retrieval metric rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Scores = torch.Tensor | npt.NDArray[Any]
"""Scores, higher is better: one row a query, one column a gallery item."""

Positives = torch.Tensor | npt.NDArray[Any] | Sequence[int | Sequence[int]]
"""A boolean mask shaped like the scores, or for each query the gallery index or indices of its positives."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RankCounts:
    """What decides the rank of each query's first positive.

    The best positive score of a query stands below `better` negatives and is shared by `tied_negatives`
    negatives and `tied_positives` positives, so the rank lies between `better + 1` and
    `better + tied_negatives + 1`.

    Attributes:
        better: [num_queries] negatives that score higher than the best positive.
        tied_negatives: [num_queries] negatives that score the same as the best positive.
        tied_positives: [num_queries] positives with that score, at least 1.
        gallery: number of items each query was ranked against.
    """

    better: IntArray
    tied_negatives: IntArray
    tied_positives: IntArray
    gallery: int

    def __len__(self) -> int:
        return len(self.better)

    @classmethod
    def concatenate(cls, blocks: Sequence[RankCounts]) -> RankCounts:
        """Joins the counts of consecutive blocks of queries over one gallery.

        Raises:
            ValueError: there is no block, or the blocks were ranked against galleries of different sizes.
        """
        galleries = sorted({block.gallery for block in blocks})
        if len(galleries) != 1:
            raise ValueError(f"blocks of one evaluation must share one gallery size, got {galleries}")
        return cls(
            better=np.concatenate([block.better for block in blocks]),
            tied_negatives=np.concatenate([block.tied_negatives for block in blocks]),
            tied_positives=np.concatenate([block.tied_positives for block in blocks]),
            gallery=galleries[0],
        )


def rank_counts(scores: Scores, positives: Positives) -> RankCounts:
    """Counts what stands above and beside each query's best positive, on the device that holds the scores.

    Args:
        scores: [num_queries, gallery], higher is better; a block of the queries is enough.
        positives: mask [num_queries, gallery], or the positives' gallery indices for each query.

    Raises:
        ValueError: scores that are not a matrix or hold NaN, positives of another shape or outside the
            gallery, a query without any positive.
    """
    table = torch.as_tensor(scores)
    if table.ndim != 2:
        raise ValueError(f"scores must be a matrix [queries, gallery], got shape {tuple(table.shape)}")
    if torch.isnan(table).any():
        query = int(torch.isnan(table).any(dim=1).nonzero()[0])
        raise ValueError(f"scores of query {query} hold NaN, which has no rank")
    mask = positive_mask(positives, table)
    without = (~mask.any(dim=1)).nonzero()
    if len(without):
        raise ValueError(f"query {int(without[0])} has no positive in the gallery; leave such queries out")
    lowest = float("-inf") if table.is_floating_point() else torch.iinfo(table.dtype).min
    best = table.masked_fill(~mask, lowest).amax(dim=1, keepdim=True)
    tied = table == best
    return RankCounts(
        better=_to_int_array(((table > best) & ~mask).sum(dim=1)),
        tied_negatives=_to_int_array((tied & ~mask).sum(dim=1)),
        tied_positives=_to_int_array((tied & mask).sum(dim=1)),
        gallery=table.shape[1],
    )


def positive_mask(positives: Positives, scores: torch.Tensor) -> torch.Tensor:
    """The positives as a boolean mask [num_queries, gallery] on the scores' device.

    Args:
        positives: a mask already, or gallery indices for each query.
        scores: [num_queries, gallery], for the shape and the device.

    Raises:
        ValueError: another shape, another number of queries, or an index outside the gallery.
    """
    if isinstance(positives, torch.Tensor | np.ndarray):
        given = torch.as_tensor(positives, device=scores.device)
        if given.dtype == torch.bool:
            if given.shape != scores.shape:
                raise ValueError(
                    f"the mask of positives has shape {tuple(given.shape)}, the scores {tuple(scores.shape)}"
                )
            return given
        if given.is_floating_point() or given.ndim not in (1, 2):
            raise ValueError("positives must be a boolean mask or integer indices of gallery items")
        positives = given.tolist()
    if len(positives) != scores.shape[0]:
        raise ValueError(f"got positives for {len(positives)} queries and scores for {scores.shape[0]}")
    rows, columns = [], []
    for query, indices in enumerate(positives):
        for index in [indices] if isinstance(indices, int | np.integer) else indices:
            if not 0 <= index < scores.shape[1]:
                raise ValueError(f"positive {index} of query {query} is outside the gallery of {scores.shape[1]}")
            rows.append(query)
            columns.append(int(index))
    mask = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    mask[rows, columns] = True
    return mask


def _to_int_array(values: torch.Tensor) -> IntArray:
    array: IntArray = values.cpu().numpy().astype(np.int64)
    return array
