"""Cells of videos: an inverted file over score vectors, of which a search reads only the most promising lists.

Videos whose vectors (`score_vectors.py`) are close lie in one cell, some square root of the videos each. A query
takes cells in the order of its product with their centroids, until they hold the share of all videos that calibration
found to be enough, and orders the videos in them by the product with their own vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from video_colbert.index.search.candidate_calibration import levels_of_one_width, make_queries
from video_colbert.index.search.cells.score_vectors import ScoreVectors
from video_colbert.index.search.level_bags import LevelBags

Rows = npt.NDArray[np.int64]
"""Rows of a source, [n]; -1 for a video that is none of its."""

# Cells for each square root of a video.
_CELLS_A_ROOT = 4
# Videos that the vectors are fitted on, queries made for it, and videos a cell that centroids are found on.
_FITTED_VIDEOS, _FITTED_QUERIES, _QUERY_TOKENS, _VIDEOS_A_CELL = 3072, 512, 8, 32
_ROUNDS = 8
# Videos whose tokens or vectors are brought to float32 at once.
_AT_ONCE = 4096


class DamagedCellsError(Exception):
    """Stored cells are not what was written."""


@dataclass(frozen=True)
class CellPart:
    """Videos that were put into cells together.

    Attributes:
        vectors: float16 [n, R], in the order of cells.
        offsets: int64 [C + 1], where each cell begins.
        rows: which videos they are.
        check: told the cells that are about to be read; raises `DamagedCellsError`. None where nothing can change.
    """

    vectors: Tensor
    offsets: npt.NDArray[np.int64]
    rows: Rows
    check: Callable[[npt.NDArray[np.int64]], None] | None = None


@dataclass(frozen=True)
class CellOrder:
    """Cells in the order of a query.

    Attributes:
        cells: int64 [C], the most promising first.
        products: float32 [C], of their centroids and the query's vector, decreasing.
        held: float64 [C], the share of all videos that they hold up to and with each.
    """

    cells: npt.NDArray[np.int64]
    products: Tensor
    held: npt.NDArray[np.float64]

    def number_for(self, share: float) -> int:
        """How many of the first cells together hold a share of the videos."""
        return min(len(self.cells), int(np.searchsorted(self.held, share)) + 1)


@dataclass(frozen=True)
class CellScores:
    """What the vectors in some cells give with a query's.

    Attributes:
        rows: int64 [n], the videos.
        predicted: float32 [n], the products of their vectors and the query's, about their scores.
        best: float32, the largest product in each of the cells; minus infinity in an empty one.
    """

    rows: Tensor
    predicted: Tensor
    best: Tensor

    def followed_by(self, others: CellScores) -> CellScores:
        """The same with those of other cells behind them."""
        return CellScores(
            torch.cat([self.rows, others.rows]),
            torch.cat([self.predicted, others.predicted]),
            torch.cat([self.best, others.best]),
        )


class VideoCells:
    """All videos of a source in cells.

    Args:
        axes: makes the vectors.
        centroids: float32 [C, R].
        parts: the videos.
    """

    def __init__(self, axes: ScoreVectors, centroids: Tensor, parts: Sequence[CellPart]) -> None:
        self.axes = axes
        self.centroids = centroids
        self.parts = parts
        self._sizes = np.sum([np.diff(part.offsets) for part in parts], axis=0)

    @torch.inference_mode()
    def order(self, vector: Tensor) -> CellOrder:
        """All cells, the most promising first.

        Args:
            vector: float32 [R] of a query.
        """
        products, order = (self.centroids @ vector).sort(descending=True)
        held = self._sizes[order.numpy()].cumsum()
        return CellOrder(order.numpy(), products, held / max(1, int(held[-1])))

    @torch.inference_mode()
    def read(self, vector: Tensor, cells: npt.NDArray[np.int64]) -> CellScores:
        """Compares the vectors in some cells with a query's.

        Args:
            vector: float32 [R] of the query.
            cells: each once.

        Raises:
            DamagedCellsError: the vectors are not what was written.
        """
        half = vector.half()
        by_number = cells.argsort()
        cells = cells[by_number]
        rows, products = [np.zeros(0, np.int64)], [torch.zeros(0)]
        best = torch.full((len(cells),), float("-inf"))
        for part in self.parts:
            if part.check is not None:
                part.check(cells)
            sizes = part.offsets[cells + 1] - part.offsets[cells]
            of_part = torch.empty(int(sizes.sum()), dtype=torch.float16)
            filled = 0
            for begin, end in _runs(part.offsets, cells):
                rows.append(part.rows[begin:end])
                torch.mv(part.vectors[begin:end], half, out=of_part[filled : filled + end - begin])
                filled += end - begin
            products.append(of_part.float())
            cell_of_vector = torch.from_numpy(np.repeat(np.arange(len(cells)), sizes))
            best.scatter_reduce_(0, cell_of_vector, products[-1], "amax")
        found, scores = torch.from_numpy(np.concatenate(rows)), torch.cat(products)
        present = found >= 0
        if not present.all():
            found, scores = found[present], scores[present]
        return CellScores(found, scores, torch.empty_like(best).scatter_(0, torch.from_numpy(by_number), best))

    def cell_of_rows(self, num_rows: int) -> npt.NDArray[np.int64]:
        """The cell of each row of the source, int64 [num_rows]."""
        found = np.zeros(num_rows, np.int64)
        for part in self.parts:
            cells = np.repeat(np.arange(len(part.offsets) - 1), np.diff(part.offsets))
            present = part.rows >= 0
            found[part.rows[present]] = cells[present]
        return found


def fit_cells(num_videos: int, sample: Callable[[Tensor], LevelBags]) -> tuple[ScoreVectors, Tensor]:
    """Finds vectors and cells for a source.

    Args:
        num_videos: videos of the source, N.
        sample: gives the float16 bags of rows.

    Returns:
        What makes vectors, and centroids, float32 [C, R].
    """
    generator = torch.Generator().manual_seed(3)
    order = torch.randperm(num_videos, generator=generator)
    bags = sample(order[:_FITTED_VIDEOS])
    asked = bags.select(torch.arange(min(_FITTED_QUERIES, bags.num_videos)))
    queries = make_queries(asked, levels_of_one_width(bags.dimensions), length=_QUERY_TOKENS, seed=1)
    axes = ScoreVectors.fit(bags, queries)
    num_cells = max(1, min(num_videos, round(_CELLS_A_ROOT * math.sqrt(num_videos))))
    chosen = order[: _VIDEOS_A_CELL * num_cells].sort().values
    vectors = torch.cat([axes.of_bags(sample(part)) for part in torch.split(chosen, _AT_ONCE)])
    return axes, _in_groups(_centroids(vectors, num_cells, generator), generator)


@torch.inference_mode()
def nearest_cells(vectors: Tensor, centroids: Tensor) -> Tensor:
    """The cell of each vector [n, R] whose centroid is closest, int64 [n]."""
    halves = centroids.square().sum(dim=1) / 2
    parts = torch.split(vectors, _AT_ONCE)
    return torch.cat(
        [torch.zeros(0, dtype=torch.int64), *((p.float() @ centroids.T - halves).argmax(1) for p in parts)]
    )


def cells_in_memory(num_videos: int, bags: Callable[[Tensor], LevelBags]) -> VideoCells:
    """The cells of a source, held in memory.

    Args:
        num_videos: videos of the source.
        bags: gives the float16 bags of rows.
    """
    axes, centroids = fit_cells(num_videos, bags)
    return VideoCells(axes, centroids, [part_in_memory(axes, centroids, torch.arange(num_videos), bags)])


def part_in_memory(
    axes: ScoreVectors, centroids: Tensor, rows: Tensor, bags: Callable[[Tensor], LevelBags]
) -> CellPart:
    """Some videos of a source in cells, held in memory."""
    vectors = torch.cat([torch.zeros(0, axes.width).half(), *(axes.of_bags(bags(p)) for p in _at_once(rows))])
    cells = nearest_cells(vectors, centroids)
    order = cells.argsort(stable=True)
    return CellPart(vectors[order], cell_offsets(cells.numpy(), len(centroids)), rows[order].numpy())


def cell_offsets(cells: npt.NDArray[np.int64], num_cells: int) -> npt.NDArray[np.int64]:
    """Where each cell begins among videos in the order of cells, and where the last ends, int64 [C + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.bincount(cells, minlength=num_cells).cumsum()])


def _at_once(rows: Tensor) -> Iterator[Tensor]:
    return iter(torch.split(rows, _AT_ONCE)) if len(rows) else iter(())


def _runs(offsets: npt.NDArray[np.int64], cells: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Begin and end of what lies end to end of some cells, which increase."""
    begins, ends = offsets[cells], offsets[cells + 1]
    filled = ends > begins
    begins, ends = begins[filled], ends[filled]
    breaks = np.flatnonzero(begins[1:] != ends[:-1]) + 1
    firsts, lasts = np.concatenate([[0], breaks]), np.concatenate([breaks, [len(begins)]])
    if len(begins):
        yield from zip(begins[firsts].tolist(), ends[lasts - 1].tolist(), strict=True)


@torch.inference_mode()
def _centroids(vectors: Tensor, num_cells: int, generator: torch.Generator) -> Tensor:
    """Centroids by Lloyd's algorithm, float32 [C, R]; an empty cell begins anew at a random vector."""
    centroids = vectors[torch.randperm(len(vectors), generator=generator)[:num_cells]].float()
    for _ in range(_ROUNDS):
        cells = nearest_cells(vectors, centroids)
        counts = torch.bincount(cells, minlength=len(centroids))
        sums = torch.zeros_like(centroids)
        for of_part, part in zip(torch.split(cells, _AT_ONCE), torch.split(vectors, _AT_ONCE), strict=True):
            sums.index_add_(0, of_part, part.float())
        centroids = sums / counts.clamp(min=1)[:, None]
        empty = counts == 0
        if empty.any():
            drawn = torch.randint(len(vectors), (int(empty.sum()),), generator=generator)
            centroids[empty] = vectors[drawn].float()
    return centroids


def _in_groups(centroids: Tensor, generator: torch.Generator) -> Tensor:
    """Centroids with close ones beside each other: a query reads runs of neighbours at once."""
    groups = _centroids(centroids, max(1, round(math.sqrt(len(centroids)))), generator)
    # The order of groups is by their largest axis.
    axis = torch.linalg.eigh(groups.T @ groups).eigenvectors[:, -1]
    place = (groups @ axis).argsort().argsort()
    return centroids[place[nearest_cells(centroids, groups)].argsort(stable=True)]
