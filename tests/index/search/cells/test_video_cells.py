from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.index.made_tokens import make_levels, make_queries, scores_by_loops
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.search.cells.cell_calibration import calibrated_cells, exact_best
from video_colbert.index.search.cells.score_vectors import ScoreVectors
from video_colbert.index.search.cells.video_cells import DamagedCellsError, VideoCells, cells_in_memory
from video_colbert.index.search.level_bags import LevelBags, TokensInMemory
from video_colbert.index.search.scoring import score_bags
from video_colbert.index.search.searcher import Searcher
from video_colbert.index.search.token_bags import TokenBags

WIDTH, VIDEOS = 16, 600


class TokensWithCells(TokensInMemory):
    """Tokens in memory with cells, some of which turn out to be damaged."""

    def __init__(self, levels: LevelBags, damaged: int = 0) -> None:
        super().__init__(levels)
        self.damaged = damaged
        self.replaced = 0

    def cells(self, *, anew: bool = False) -> VideoCells | None:  # type: ignore[override]
        cells = cells_in_memory(len(self), self.bags)
        if self.replaced < self.damaged:

            def check(read: object) -> None:
                raise DamagedCellsError

            object.__setattr__(cells.parts[0], "check", check)
        return cells

    def replace_cells(self, cells: VideoCells) -> None:
        self.replaced += 1


@pytest.fixture(scope="module")
def bags() -> LevelBags:
    return make_levels(VIDEOS, WIDTH, ragged=True)


@pytest.fixture(scope="module")
def queries(bags: LevelBags) -> EncodedQueries:
    return make_queries(6, WIDTH, near=bags)


def calibration(num_candidates: int, share: float) -> Calibration:
    return Calibration("cells", 0.99, 1.0, 10, num_candidates, 64, False, VIDEOS, share)


def approximate(axes: ScoreVectors, queries: EncodedQueries, bags: LevelBags) -> Tensor:
    return axes.of_queries(queries) @ axes.of_bags(bags).float().T


def test_products_of_vectors_come_near_the_scores(bags: LevelBags, queries: EncodedQueries) -> None:
    cells = cells_in_memory(VIDEOS, bags.select)
    exact = scores_by_loops(queries, bags)
    found = approximate(cells.axes, queries, bags)
    for of_query, products in zip(exact, found, strict=True):
        assert torch.corrcoef(torch.stack([of_query.float(), products]))[0, 1] > 0.9


def test_a_level_counts_in_the_vector_as_in_the_score(bags: LevelBags, queries: EncodedQueries) -> None:
    axes = cells_in_memory(VIDEOS, bags.select).axes
    weighted = EncodedQueries(
        queries.texts, queries.bags, queries.encoder_of_level, {"frame": 0.0, "video": 2.0}, queries.interaction
    )
    vectors = axes.of_queries(weighted)
    frame_width = axes.levels["frame"].width
    assert not vectors[:, :frame_width].any()
    assert torch.allclose(vectors[:, frame_width:], 2 * axes.of_queries(queries)[:, frame_width:])


def test_a_video_without_tokens_on_a_level_has_zeros_there(bags: LevelBags, queries: EncodedQueries) -> None:
    lengths = bags["frame"].lengths.clone()
    lengths[::3] = 0
    chosen = [bags["frame"].bag(row)[: int(length)] for row, length in enumerate(lengths)]
    some = LevelBags({"frame": TokenBags.from_bags(chosen), "video": bags["video"]})
    axes = cells_in_memory(VIDEOS, some.select).axes
    vectors = axes.of_bags(some)
    width = axes.levels["frame"].width
    assert not vectors[::3, :width].any()
    assert (vectors[1::3, 0] == 1).all()
    exact = score_bags(queries, some).scores
    found = approximate(axes, queries, some)
    assert torch.corrcoef(torch.stack([exact.flatten(), found.flatten()]))[0, 1] > 0.9


def test_a_level_without_any_tokens_changes_nothing(bags: LevelBags, queries: EncodedQueries) -> None:
    none = TokenBags(torch.zeros(0, WIDTH).half(), torch.zeros(VIDEOS + 1, dtype=torch.int64))
    cells = cells_in_memory(VIDEOS, LevelBags({"frame": none, "video": bags["video"]}).select)
    assert torch.isfinite(cells.axes.of_queries(queries)).all()


def test_axes_are_the_same_once_they_were_stored(bags: LevelBags, queries: EncodedQueries) -> None:
    axes = cells_in_memory(VIDEOS, bags.select).axes
    shuffled = dict(sorted(axes.tensors().items(), reverse=True))
    again = ScoreVectors.of_tensors(shuffled, list(bags))
    assert torch.equal(again.of_bags(bags), axes.of_bags(bags))
    assert torch.equal(again.of_queries(queries), axes.of_queries(queries))


def test_every_video_lies_in_one_cell(bags: LevelBags) -> None:
    cells = cells_in_memory(VIDEOS, bags.select)
    every = np.arange(len(cells.centroids))
    rows = cells.read(torch.zeros(cells.axes.width), every).rows
    assert rows.sort().values.tolist() == list(range(VIDEOS))
    for cell in every[:5]:
        rows = cells.read(torch.zeros(cells.axes.width), np.array([cell])).rows
        assert (cells.cell_of_rows(VIDEOS)[rows.numpy()] == cell).all()


def test_what_is_read_of_cells_are_the_products_and_the_best_of_each(bags: LevelBags, queries: EncodedQueries) -> None:
    cells = cells_in_memory(VIDEOS, bags.select)
    vector = cells.axes.of_queries(queries)[0]
    products = approximate(cells.axes, queries, bags)[0]
    chosen = np.arange(0, len(cells.centroids), 3)[::-1].copy()
    read = cells.read(vector, chosen)
    cell_of_row = cells.cell_of_rows(VIDEOS)
    assert sorted(read.rows.tolist()) == np.flatnonzero(np.isin(cell_of_row, chosen)).tolist()
    # Products of float16.
    assert read.predicted.numpy() == pytest.approx(products[read.rows].numpy(), abs=1e-2)
    for number, cell in enumerate(chosen):
        own = products[torch.from_numpy(cell_of_row == cell)]
        expected = float(own.max()) if len(own) else float("-inf")
        assert float(read.best[number]) == pytest.approx(expected, abs=1e-2)


def test_the_order_of_cells_is_that_of_their_centroids(bags: LevelBags, queries: EncodedQueries) -> None:
    cells = cells_in_memory(VIDEOS, bags.select)
    vector = cells.axes.of_queries(queries)[0]
    order = cells.order(vector)
    assert order.products.numpy() == pytest.approx((cells.centroids @ vector)[order.cells].numpy())
    assert (order.products.diff() <= 0).all()
    assert order.held[-1] == 1.0
    for share in (0.0, 0.1, 0.5, 1.0):
        number = order.number_for(share)
        assert order.held[number - 1] >= share
        assert number == 1 or order.held[number - 2] < share


@pytest.mark.parametrize("allowed", [None, torch.arange(0, VIDEOS, 2), torch.arange(0, VIDEOS, 50)])
def test_a_search_by_cells_gives_exact_scores_and_with_many_candidates_the_exact_best(
    bags: LevelBags, queries: EncodedQueries, allowed: Tensor | None
) -> None:
    searcher = Searcher(TokensWithCells(bags), exact_limit=0, cells_limit=100, calibration=calibration(250, 1.0))
    found = searcher.top(queries, 5, rows=allowed)
    expected = Searcher(TokensInMemory(bags)).top(queries, 5, rows=allowed)
    assert torch.equal(found.rows, expected.rows)
    assert torch.equal(found.scores, expected.scores)


def test_a_calibration_with_cells_reaches_its_recall(bags: LevelBags) -> None:
    searcher = Searcher(TokensWithCells(bags), exact_limit=0, cells_limit=100, recall_target=0.9)
    found = searcher.calibrate()
    assert found.method == "cells"
    assert found.recall >= 0.9
    assert 10 <= found.num_candidates <= VIDEOS
    assert 0 < found.read_share <= 1


def test_the_share_and_candidates_of_a_calibration_hold_the_best(bags: LevelBags, queries: EncodedQueries) -> None:
    cells = cells_in_memory(VIDEOS, bags.select)
    best = exact_best(queries, iter([bags.part(0, 250), bags.part(250, VIDEOS)]), 10)
    assert torch.equal(best, score_bags(queries, bags).scores.topk(10).indices)
    share, num_candidates, recall = calibrated_cells(cells, queries, best, 0.9, VIDEOS, 200.0)
    products, cell_of_row = approximate(cells.axes, queries, bags), cells.cell_of_rows(VIDEOS)
    held = []
    for query, vector in enumerate(cells.axes.of_queries(queries)):
        order = cells.order(vector)
        is_read = np.isin(cell_of_row, order.cells[: order.number_for(share)])
        among = products[query].masked_fill(torch.from_numpy(~is_read), float("-inf")).topk(num_candidates).indices
        held.append(len(set(among.tolist()) & set(best[query].tolist())) / 10)
    assert sum(held) / len(held) >= 0.9
    assert recall == pytest.approx(sum(held) / len(held), abs=0.05)


def test_damaged_cells_are_replaced_and_without_any_all_videos_are_looked_at(
    bags: LevelBags, queries: EncodedQueries
) -> None:
    expected = Searcher(TokensInMemory(bags)).top(queries, 5).rows
    for damaged, replaced in ((1, 1), (10, 3)):
        source = TokensWithCells(bags, damaged)
        searcher = Searcher(source, exact_limit=0, cells_limit=100, calibration=calibration(250, 1.0))
        found = searcher.top(queries, 5).rows
        held = [len(set(of.tolist()) & set(best.tolist())) for of, best in zip(found, expected, strict=True)]
        assert sum(held) >= 0.9 * expected.numel()
        assert source.replaced == replaced


def test_a_calibration_is_outgrown_when_cells_grew_by_half_or_become_possible() -> None:
    found = calibration(100, 0.1)
    assert not found.is_outgrown(900)
    assert found.is_outgrown(901)
    linear = Calibration("pooled", 0.99, 1.0, 10, 100, 64, False, 200_000)
    assert not linear.is_outgrown(300_000)
    assert linear.is_outgrown(300_001)
