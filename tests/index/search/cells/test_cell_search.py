from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from video_colbert.index.search.cells.cell_search import score_from_cells
from video_colbert.index.search.cells.score_vectors import ScoreVectors
from video_colbert.index.search.cells.video_cells import CellPart, VideoCells, cell_offsets
from video_colbert.index.search.scoring import BoundedScores

VIDEOS, CELLS, WIDTH, COUNT = 40_000, 400, 24, 10


class Source:
    """Vectors in cells, and scores that their products with a query's vector predict with an error."""

    def __init__(self, error: float, seed: int = 0, spread: float = 0.3) -> None:
        generator = torch.Generator().manual_seed(seed)
        centroids = torch.randn(CELLS, WIDTH, generator=generator)
        cell_of_row = torch.randint(CELLS, (VIDEOS,), generator=generator)
        vectors = (centroids[cell_of_row] + spread * torch.randn(VIDEOS, WIDTH, generator=generator)).half()
        self.query = torch.randn(WIDTH, generator=generator)
        self.query /= self.query.norm()
        self.scores = vectors.float() @ self.query + error * torch.randn(VIDEOS, generator=generator)
        self.checked: list[int] = []
        self.scored: list[int] = []
        order = cell_of_row.argsort(stable=True)
        part = CellPart(
            vectors[order],
            cell_offsets(cell_of_row.numpy(), CELLS),
            order.numpy(),
            lambda cells: self.checked.extend(cells.tolist()),
        )
        self.cells = VideoCells(ScoreVectors({}), centroids, [part])

    def score(self, rows: Tensor) -> BoundedScores:
        self.scored.extend(rows.tolist())
        none = torch.zeros(1, len(rows))
        return BoundedScores(self.scores[rows][None], none, none)

    def search(
        self, share: float = 1.0, most: int = VIDEOS, is_allowed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        rows, scores = score_from_cells(self.cells, self.query, share, most, is_allowed, [self.score], COUNT)
        assert torch.equal(rows, rows.sort().values)
        assert torch.equal(scores.scores[0], self.scores[rows])
        assert sorted(self.scored) == rows.tolist()
        assert len(self.checked) == len(set(self.checked))
        return rows, scores.scores[0]


def recall(rows: Tensor, scores: Tensor) -> float:
    return len(set(rows.tolist()) & set(scores.topk(COUNT).indices.tolist())) / COUNT


@pytest.mark.parametrize("error", [0.05, 0.3])
def test_the_best_of_all_are_found_and_cells_that_cannot_hold_them_are_not_read(error: float) -> None:
    found = []
    for seed in range(12):
        source = Source(error, seed)
        rows, _ = source.search()
        found.append((recall(rows, source.scores), len(source.checked), len(rows)))
    recalls, cells, scored = zip(*found, strict=True)
    assert sum(recalls) / len(recalls) >= 0.99
    # A tenth is read first. The best of 40,000 sums of normal numbers lie in few cells.
    assert max(cells) < CELLS / 2
    assert max(scored) < VIDEOS / 10


def test_further_cells_are_read_where_the_first_do_not_settle_it() -> None:
    source = Source(0.05, spread=0.3)
    # Without order among the centroids, the best may be anywhere.
    source.cells = VideoCells(ScoreVectors({}), torch.zeros(CELLS, WIDTH), source.cells.parts)
    rows, _ = source.search()
    assert recall(rows, source.scores) == 1.0
    assert len(source.checked) > 0.9 * CELLS


def test_no_more_is_read_or_scored_than_may_be() -> None:
    source = Source(3.0)
    rows, _ = source.search(share=0.1, most=700)
    assert len(rows) == 700
    sizes = np.diff(source.cells.parts[0].offsets)
    assert sizes[sorted(source.checked)].sum() <= 0.1 * VIDEOS + sizes.max()


@pytest.mark.parametrize("every", [7, 1000, 40_000])
def test_a_filter_is_kept_to_and_enough_is_read_for_it(every: int) -> None:
    source = Source(0.1)
    is_allowed = torch.zeros(VIDEOS, dtype=torch.bool)
    is_allowed[::every] = True
    rows, _ = source.search(share=0.02, most=600, is_allowed=is_allowed)
    assert is_allowed[rows].all()
    assert len(rows) >= min(512, int(is_allowed.sum()))
    assert recall(rows, source.scores.masked_fill(~is_allowed, float("-inf"))) == (1.0 if every < 40_000 else 0.1)
