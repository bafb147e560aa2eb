from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from tests.accelerators import DEVICES
from tests.index.made_tokens import (
    make_bags,
    make_levels,
    make_queries,
    make_three_level_queries,
    make_three_levels,
    scores_by_loops,
)
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.errors import ModelMismatchError
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.search.level_bags import LevelBags, TokensInMemory
from video_colbert.index.search.number_formats import number_format
from video_colbert.index.search.rescoring import best_rows
from video_colbert.index.search.scoring import BoundedScorer, score_bags
from video_colbert.index.search.searcher import Searcher
from video_colbert.index.search.token_bags import TokenBags

WIDTH = 64


class CountingTokens(TokensInMemory):
    """Counts the bags that are fetched."""

    fetched = 0

    def bags(self, rows: Tensor | None = None) -> LevelBags:
        self.fetched += len(self) if rows is None else len(rows)
        return super().bags(rows)


def best_by_loops(scores: Tensor, count: int, rows: list[int] | None = None) -> list[list[int]]:
    allowed = range(scores.shape[1]) if rows is None else sorted(rows)
    return [sorted(allowed, key=lambda row: -float(of_query[row]))[:count] for of_query in scores]


def calibration_of(num_videos: int, num_candidates: int, method: str = "pooled") -> Calibration:
    return Calibration(method, 0.99, 1.0, 10, num_candidates, 64, real_queries=False, num_videos=num_videos)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_exact_search_gives_the_order_and_scores_of_the_formula(device: str, ragged: bool) -> None:
    bags = make_levels(80, WIDTH, ragged=ragged)
    queries = make_queries(3, WIDTH, near=bags)
    searcher = Searcher(TokensInMemory(bags), device=device)
    found = searcher.top(queries, 10)
    scores = scores_by_loops(queries, bags)
    assert searcher.is_exact
    assert found.is_proven.all()
    assert found.rows.tolist() == best_by_loops(scores, 10)
    assert found.scores.numpy() == pytest.approx(scores.gather(1, found.rows).numpy(), abs=1e-6)
    by_frames = scores_by_loops(make_queries(3, WIDTH, near=bags, levels=("frame",)), bags).gather(1, found.rows)
    assert found.level_scores["frame"].numpy() == pytest.approx(by_frames.numpy(), abs=1e-6)
    summed = found.level_scores["frame"] + found.level_scores["video"]
    assert summed.numpy() == pytest.approx(found.scores.numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("exact_limit", "hold_tokens", "method"),
    [(1000, False, "pooled"), (10, False, "pooled"), (10, True, "reduced"), (10, False, "reduced")],
)
@pytest.mark.parametrize("weights", [{}, {"speech": 0.25, "video": 2.0}, {"frame": 0.0}])
def test_three_levels_are_searched_as_the_formula_says(
    exact_limit: int, hold_tokens: bool, method: str, weights: dict[str, float]
) -> None:
    bags = make_three_levels(120)
    queries = make_three_level_queries(4, bags, weights=weights)
    calibration = calibration_of(120, 110, method)
    searcher = Searcher(
        TokensInMemory(bags), exact_limit=exact_limit, hold_tokens=hold_tokens, calibration=calibration
    )
    found = searcher.top(queries, 5)
    scores = scores_by_loops(queries, bags)
    assert found.rows.tolist() == best_by_loops(scores, 5)
    assert found.scores.numpy() == pytest.approx(scores.gather(1, found.rows).numpy(), abs=1e-6)
    assert list(found.level_scores) == ["frame", "video", "speech"]
    for query in range(4):
        for column, row in enumerate(found.rows[query].tolist()):
            assert torch.equal(found.bags[query]["speech"].bag(column), bags["speech"].bag(row))


def test_calibration_on_three_levels_reaches_its_target() -> None:
    bags = make_three_levels(600)
    searcher = Searcher(TokensInMemory(bags), exact_limit=10, recall_target=0.95)
    queries = make_three_level_queries(4, bags, weights={"speech": 0.5})
    found = searcher.top(queries, 10).rows
    assert searcher.calibration is not None
    assert searcher.calibration.recall >= 0.95
    assert recall_of(found, score_bags(queries, bags).scores.topk(10).indices) >= 0.9


def nearly_equal_videos(number: int) -> LevelBags:
    """Videos that differ by less than eight bits resolve."""
    generator = torch.Generator().manual_seed(0)
    base = make_bags([4], WIDTH).tokens.float()
    bags = [base + 1e-3 * torch.randn(base.shape, generator=generator) for _ in range(number)]
    return LevelBags({"frame": TokenBags.from_bags(bags)})


@pytest.mark.parametrize(("number", "proven"), [(150, True), (600, False)])
def test_order_is_exact_where_int8_cannot_tell_videos_apart(number: int, proven: bool) -> None:
    bags = nearly_equal_videos(number)
    queries = make_queries(2, WIDTH, near=bags, levels=("frame",))
    fast = BoundedScorer.of(bags, format_name="int8").scores(queries)
    exact = score_bags(queries, bags).scores.topk(10).indices.tolist()
    assert fast.scores.topk(10).indices.tolist() != exact
    found = best_rows(queries, [torch.arange(number)] * 2, fast.split(), 10, bags.select)
    assert found.rows.tolist() == exact
    # Of more than some hundreds that are so close, the probable error decides which are scored again.
    assert found.is_proven.tolist() == [proven] * 2
    assert Searcher(TokensInMemory(bags)).top(queries, 10).rows.tolist() == exact


def test_first_searches_in_several_threads_read_the_tokens_once() -> None:
    bags = make_levels(500, WIDTH)
    source = CountingTokens(bags)
    queries = make_queries(1, WIDTH, near=bags)
    searcher = Searcher(source, exact_limit=10, hold_tokens=True, calibration=calibration_of(500, 400))
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda _: searcher.top(queries, 5).rows.tolist(), range(8)))
    assert found == [best_by_loops(score_bags(queries, bags).scores, 5)] * 8
    assert source.fetched == len(source)


def test_few_rows_are_scored_again_where_scores_differ() -> None:
    bags = make_levels(500, WIDTH)
    queries = make_queries(1, WIDTH, near=bags)
    fast = BoundedScorer.of(bags, format_name="int8").scores(queries)
    fetched: list[int] = []

    def fetch(rows: Tensor) -> LevelBags:
        fetched.extend(rows.tolist())
        return bags.select(rows)

    found = best_rows(queries, [torch.arange(500)], fast.split(), 5, fetch)
    assert found.rows.tolist() == best_by_loops(score_bags(queries, bags).scores, 5)
    assert 5 <= len(fetched) <= 64


def test_held_tokens_are_read_no_more() -> None:
    source = CountingTokens(make_levels(500, WIDTH))
    searcher = Searcher(source, exact_limit=10, hold_tokens=True, calibration=calibration_of(500, 400))
    queries = make_queries(1, WIDTH)
    first = searcher.top(queries, 5)
    read = source.fetched
    assert searcher.top(queries, 5).rows.tolist() == first.rows.tolist()
    assert source.fetched == read == 500


@pytest.mark.parametrize(
    ("exact_limit", "hold_tokens", "method"),
    [(1000, False, "pooled"), (10, False, "pooled"), (10, True, "pooled"), (10, False, "reduced")],
)
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_filter_comes_before_the_cut(exact_limit: int, hold_tokens: bool, method: str, share: float) -> None:
    bags = make_levels(200, WIDTH)
    queries = make_queries(3, WIDTH, near=bags)
    scores = score_bags(queries, bags).scores
    # The best of all are not allowed.
    worst_first = scores.amax(dim=0).argsort()
    rows = worst_first[: int(200 * share)]
    searcher = Searcher(
        TokensInMemory(bags),
        exact_limit=exact_limit,
        hold_tokens=hold_tokens,
        calibration=calibration_of(200, 170, method),
    )
    found = searcher.top(queries, 8, rows=rows)
    assert found.rows.tolist() == best_by_loops(scores, 8, rows.tolist())


def test_weights_change_the_order_in_both_plans() -> None:
    bags = make_levels(200, WIDTH)
    for weights in ((1.0, 0.0), (0.2, 1.5)):
        queries = make_queries(3, WIDTH).with_level_weights(dict(zip(("frame", "video"), weights, strict=True)))
        expected = best_by_loops(scores_by_loops(queries, bags), 5)
        for exact_limit in (1000, 10):
            searcher = Searcher(TokensInMemory(bags), exact_limit=exact_limit, calibration=calibration_of(200, 199))
            assert searcher.top(queries, 5).rows.tolist() == expected


def test_a_batch_finds_what_single_queries_find() -> None:
    bags = make_levels(300, WIDTH, ragged=True)
    queries = make_queries(6, WIDTH, near=bags)
    for exact_limit in (1000, 10):
        searcher = Searcher(TokensInMemory(bags), exact_limit=exact_limit, calibration=calibration_of(300, 290))
        batch = searcher.top(queries, 4)
        for query in range(6):
            alone = searcher.top(queries.select([query]), 4)
            assert alone.rows[0].tolist() == batch.rows[query].tolist()
            assert alone.scores[0].numpy() == pytest.approx(batch.scores[query].numpy(), abs=1e-6)


def recall_of(found: torch.Tensor, exact: torch.Tensor) -> float:
    hits = [len(set(rows.tolist()) & set(best.tolist())) for rows, best in zip(found, exact, strict=True)]
    return sum(hits) / exact.numel()


def test_candidates_reach_the_recall_target_on_queries_like_those_calibrated_on() -> None:
    bags = make_levels(1500, WIDTH)
    searcher = Searcher(TokensInMemory(bags), exact_limit=100, recall_target=0.95)
    calibration = searcher.calibrate(queries=make_queries(64, WIDTH, near=bags, seed=1))
    assert calibration.recall >= calibration.recall_target == 0.95
    assert 10 <= calibration.num_candidates < 1500
    asked = make_queries(64, WIDTH, near=bags, seed=2)
    exact = score_bags(asked, bags).scores.topk(10).indices
    found = searcher.top(asked, 10)
    assert recall_of(found.rows, exact) >= 0.95
    assert not found.is_proven.any()


@pytest.mark.parametrize("hold_tokens", [False, True])
def test_first_search_calibrates_on_queries_made_from_the_index(hold_tokens: bool) -> None:
    source = TokensInMemory(make_levels(600, WIDTH, ragged=True))
    searcher = Searcher(source, exact_limit=100, hold_tokens=hold_tokens)
    assert searcher.calibration is None
    searcher.top(make_queries(1, WIDTH), 10)
    calibration = searcher.calibration
    assert calibration is not None
    assert calibration.recall >= calibration.recall_target == 0.99
    assert (calibration.num_queries, calibration.num_videos, calibration.real_queries) == (64, 600, False)


@pytest.mark.parametrize("format_name", ["int8", "float32"])
@pytest.mark.parametrize("method", ["pooled", "reduced"])
def test_calibration_on_given_queries_counts_the_ranks_of_their_best_videos(
    method: str, format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which is faster, and in which format, each machine finds out for itself.
    monkeypatch.setattr("video_colbert.index.search.searcher.preferred_method", lambda _: method)
    for module in ("candidates", "scoring", "prepared_tokens"):
        monkeypatch.setattr(
            f"video_colbert.index.search.{module}.fastest_format", lambda _: number_format(format_name)
        )
    bags = make_levels(400, WIDTH)
    queries = make_queries(8, WIDTH)
    searcher = Searcher(TokensInMemory(bags), exact_limit=100, recall_target=1.0, device="cpu")
    calibration = searcher.calibrate(queries=queries, top_k=5)
    exact = score_bags(queries, bags).scores.topk(5).indices
    scores = (pooled_by_formula if method == "pooled" else reduced_by_formula)(queries, bags)
    # What is stored is rounded, so videos whose scores are this close may swap.
    rounding = {("pooled", "int8"): 0.01, ("reduced", "int8"): 0.002}.get((method, format_name), 0.0005)
    of_best = scores.gather(1, exact)[:, :, None]
    deepest, fewest = (
        int((scores[:, None] > of_best + difference).sum(dim=2).max()) for difference in (-rounding, rounding)
    )
    assert fewest + 1 <= calibration.num_candidates <= deepest
    assert deepest - fewest < 25
    assert calibration.method == method
    assert calibration.real_queries
    assert searcher.top(queries, 5).rows.tolist() == exact.tolist()


def pooled_by_formula(queries: EncodedQueries, bags: LevelBags) -> Tensor:
    tokens = queries.bags_of("frame")
    means = [row[mask].mean(dim=0) for row, mask in zip(tokens.embeds, tokens.mask, strict=True)]
    pooled_queries = torch.nn.functional.normalize(torch.stack(means), dim=-1)
    pools = [
        torch.nn.functional.normalize(torch.stack([of_level.bag(row).float().mean(0) for row in range(len(of_level))]))
        for of_level in bags.values()
    ]
    scores: Tensor = pooled_queries @ sum(pools).T
    return scores


def reduced_by_formula(queries: EncodedQueries, bags: LevelBags) -> Tensor:
    """Scores on the quarter of the dimensions that hold most of the tokens' squares."""
    found = torch.zeros(len(queries.texts), bags.num_videos)
    for level, of_level in bags.items():
        tokens = of_level.tokens.double()
        directions = torch.linalg.eigh(tokens.T @ tokens).eigenvectors[:, -WIDTH // 4 :]
        asked = queries.bags_of(level).embeds.double() @ directions
        mask = queries.bags_of(level).mask
        for row in range(len(of_level)):
            maxima = (asked @ (of_level.bag(row).double() @ directions).T).amax(dim=2)
            found[:, row] += (maxima * mask).sum(dim=1) / mask.sum(dim=1)
    return found


def test_stored_calibration_saves_reading_all_tokens() -> None:
    source = CountingTokens(make_levels(300, WIDTH))
    Searcher(source, exact_limit=10, calibration=calibration_of(300, 40)).top(make_queries(2, WIDTH), 5)
    assert source.fetched <= 80


def test_of_equal_videos_the_first_comes_first() -> None:
    bag = make_bags([4], WIDTH).bag(0)
    frames = LevelBags({"frame": TokenBags.from_bags([bag] * 100)})
    found = Searcher(TokensInMemory(frames)).top(make_queries(2, WIDTH, levels=("frame",)), 30)
    assert found.rows.tolist() == [list(range(30))] * 2
    assert list(found.level_scores) == ["frame"]


def test_fewer_videos_than_asked_for_and_none() -> None:
    bags = make_levels(5, WIDTH)
    searcher = Searcher(TokensInMemory(bags))
    queries = make_queries(2, WIDTH)
    assert searcher.top(queries, 100).rows.shape == (2, 5)
    assert searcher.top(queries, 100, rows=torch.tensor([4, 4, 1])).rows.sort().values.tolist() == [[1, 4]] * 2
    assert searcher.top(queries, 100, rows=torch.tensor([], dtype=torch.int64)).rows.shape == (2, 0)
    empty = Searcher(TokensInMemory(bags.part(0, 0)))
    assert empty.top(queries, 3).scores.shape == (2, 0)


def test_bad_arguments_are_refused() -> None:
    bags = make_levels(5, WIDTH)
    source = TokensInMemory(bags)
    queries = make_queries(1, WIDTH)
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        Searcher(source).top(queries, 0)
    with pytest.raises(ValueError, match=r"rows must lie between 0 and 4, got 2\.\.5"):
        Searcher(source).top(queries, 1, rows=torch.tensor([5, 2]))
    with pytest.raises(ModelMismatchError, match="none of the level video"):
        Searcher(TokensInMemory(LevelBags({"frame": bags["frame"]}))).top(queries, 1)
    with pytest.raises(ValueError, match=r"recall_target must be above 0 and at most 1, got 1\.5"):
        Searcher(source, recall_target=1.5)
