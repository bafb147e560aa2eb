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
        tied_before: [num_queries] those of `tied_negatives` that come before the first tied positive in the gallery.
        gallery: number of items each query was ranked against.
    """

    better: IntArray
    tied_negatives: IntArray
    tied_positives: IntArray
    tied_before: IntArray
    gallery: int

    def __len__(self) -> int:
        return len(self.better)

    def select(self, queries: Sequence[int] | IntArray) -> RankCounts:
        """The counts of these queries, in this order."""
        return RankCounts(
            better=self.better[queries],
            tied_negatives=self.tied_negatives[queries],
            tied_positives=self.tied_positives[queries],
            tied_before=self.tied_before[queries],
            gallery=self.gallery,
        )

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
            tied_before=np.concatenate([block.tied_before for block in blocks]),
            gallery=galleries[0],
        )


class RunningRankCounts:
    """Rank counts from blocks of the score matrix, each of some queries and some gallery items.

    Every block with a positive goes through `observe_positives` first, then every block through `count`; the
    blocks may come in any order, and one that does both must hold the same scores both times.

    Args:
        num_queries: queries of the whole matrix.
        gallery: items of the whole matrix.
        dtype: floating-point type of the blocks.
        device: where the blocks are.
    """

    def __init__(
        self,
        num_queries: int,
        gallery: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self._gallery = gallery
        self._best = torch.full((num_queries,), float("-inf"), dtype=dtype, device=device)
        # The gallery column of the first positive with the best score; past the end for none.
        self._first = torch.full((num_queries,), gallery, device=device)
        self._better, self._tied_negatives, self._tied_positives, self._tied_before = torch.zeros(
            (4, num_queries), dtype=torch.long, device=device
        )

    def observe_positives(self, scores: torch.Tensor, positives: torch.Tensor, rows: slice, columns: slice) -> None:
        """Takes note of the positives of a block.

        Args:
            scores: [queries, items] block.
            positives: boolean mask like `scores`.
            rows: which queries.
            columns: which gallery items.
        """
        masked = scores.masked_fill(~positives, float("-inf"))
        best = masked.amax(dim=1)
        first = ((masked == best[:, None]) & positives).int().argmax(dim=1) + columns.start
        first = torch.where(positives.any(dim=1), first, self._gallery)
        known, earlier = self._best[rows], self._first[rows]
        self._first[rows] = torch.where(
            best > known, first, torch.where(best == known, torch.minimum(first, earlier), earlier)
        )
        self._best[rows] = torch.maximum(best, known)

    def count(self, scores: torch.Tensor, positives: torch.Tensor, rows: slice, columns: slice) -> None:
        """Counts the items of a block; arguments as `observe_positives`.

        Raises:
            ValueError: a score is NaN.
        """
        nan = torch.isnan(scores).any(dim=1)
        if nan.any():
            query = rows.start + int(nan.nonzero()[0])
            raise ValueError(f"scores of query {query} hold NaN, which has no rank")
        best = self._best[rows, None]
        tied = scores == best
        tied_negatives = tied & ~positives
        items = torch.arange(columns.start, columns.start + scores.shape[1], device=scores.device)
        self._better[rows] += ((scores > best) & ~positives).sum(dim=1)
        self._tied_negatives[rows] += tied_negatives.sum(dim=1)
        self._tied_positives[rows] += (tied & positives).sum(dim=1)
        self._tied_before[rows] += (tied_negatives & (items < self._first[rows, None])).sum(dim=1)

    def finish(self) -> RankCounts:
        """The counts over all blocks; a query whose positives were not seen has `tied_positives` 0."""
        return RankCounts(
            better=_to_int_array(self._better),
            tied_negatives=_to_int_array(self._tied_negatives),
            tied_positives=_to_int_array(self._tied_positives),
            tied_before=_to_int_array(self._tied_before),
            gallery=self._gallery,
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
    table = torch.as_tensor(scores).detach()
    if table.ndim != 2:
        raise ValueError(f"scores must be a matrix [queries, gallery], got shape {tuple(table.shape)}")
    mask = positive_mask(positives, table)
    without = (~mask.any(dim=1)).nonzero()
    if len(without):
        raise ValueError(f"query {int(without[0])} has no positive in the gallery; leave such queries out")
    if not table.is_floating_point():
        table = table.double()
    running = RunningRankCounts(*table.shape, dtype=table.dtype, device=table.device)
    everything = (table, mask, slice(0, table.shape[0]), slice(0, table.shape[1]))
    if table.numel():
        running.observe_positives(*everything)
        running.count(*everything)
    return running.finish()


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
