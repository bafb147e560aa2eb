from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.accelerators import DEVICES
from tests.index.made_tokens import make_bags, make_levels, make_queries, scores_by_loops
from video_colbert.index.search import rescoring
from video_colbert.index.search.candidate_calibration import Calibration
from video_colbert.index.search.scoring import TwoLevelScorer, score_bags
from video_colbert.index.search.searcher import Searcher, TokensInMemory
from video_colbert.index.search.token_bags import TokenBags

WIDTH = 64


class CountingTokens(TokensInMemory):
    """Counts the bags that are fetched."""

    fetched = 0

    def bags(self, rows: torch.Tensor | None = None) -> tuple[TokenBags, TokenBags | None]:
        self.fetched += len(self) if rows is None else len(rows)
        return super().bags(rows)


def best_by_loops(scores: torch.Tensor, count: int, rows: list[int] | None = None) -> list[list[int]]:
    allowed = range(scores.shape[1]) if rows is None else sorted(rows)
    return [sorted(allowed, key=lambda row: -float(of_query[row]))[:count] for of_query in scores]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_exact_search_gives_the_order_and_scores_of_the_formula(device: str, ragged: bool) -> None:
    frames, videos = make_levels(80, WIDTH, ragged=ragged)
    queries = make_queries(3, WIDTH, near=frames)
    searcher = Searcher(TokensInMemory(frames, videos), device=device)
    found = searcher.top(queries, 10)
    scores = scores_by_loops(queries, frames, videos)
    assert searcher.is_exact
    assert found.is_proven.all()
    assert found.rows.tolist() == best_by_loops(scores, 10)
    assert found.scores.numpy() == pytest.approx(scores.gather(1, found.rows).numpy(), abs=1e-6)
    by_frames = scores_by_loops(queries, frames, None).gather(1, found.rows)
    assert found.frame_scores.numpy() == pytest.approx(by_frames.numpy(), abs=1e-6)
    assert found.video_scores is not None
    assert (found.frame_scores + found.video_scores).numpy() == pytest.approx(found.scores.numpy(), abs=1e-6)


def test_order_is_exact_where_int8_cannot_tell_videos_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # 600 videos that differ by less than int8 resolves: each has to be scored again, in several rounds.
    generator = torch.Generator().manual_seed(0)
    base = make_bags([4], WIDTH).tokens.float()
    bags = [base + 1e-3 * torch.randn(base.shape, generator=generator) for _ in range(600)]
    frames = TokenBags.from_bags(bags)
    queries = make_queries(2, WIDTH, near=frames, levels=("frame",))
    monkeypatch.setattr(rescoring, "_FIRST_ROUND", 20)
    searcher = Searcher(TokensInMemory(frames, None))
    searcher._bags = (frames, None)
    searcher._scorer = TwoLevelScorer(frames, None, format_name="int8")
    exact = score_bags(queries, frames, None).scores
    fast = searcher._scorer.scores(queries).scores
    assert fast.topk(10).indices.tolist() != exact.topk(10).indices.tolist()
    for most_proven in (1000, 200):
        monkeypatch.setattr(rescoring, "_MOST_PROVEN", most_proven)
        found = searcher.top(queries, 10)
        assert found.rows.tolist() == exact.topk(10).indices.tolist()
        assert found.is_proven.tolist() == [most_proven == 1000] * 2


def test_first_searches_in_several_threads_read_the_tokens_once() -> None:
    frames, videos = make_levels(500, WIDTH)
    source = CountingTokens(frames, videos)
    queries = make_queries(1, WIDTH, near=frames)
    searcher = Searcher(source, exact_limit=10, hold_tokens=True, calibration=calibration_of(500, 400))
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda _: searcher.top(queries, 5).rows.tolist(), range(8)))
    assert found == [best_by_loops(score_bags(queries, frames, videos).scores, 5)] * 8
    assert source.fetched == len(source)


def test_few_rows_are_scored_again_where_scores_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, videos = make_levels(500, WIDTH)
    source = CountingTokens(frames, videos)
    queries = make_queries(1, WIDTH, near=frames)
    searcher = Searcher(source, exact_limit=10, hold_tokens=True, calibration=calibration_of(500, 400))
    searcher.top(queries, 5)
    source.fetched = 0
    scored: list[int] = []
    fetch = searcher._fetch
    monkeypatch.setattr(searcher, "_fetch", lambda rows: scored.append(len(rows)) or fetch(rows))
    found = searcher.top(queries, 5)
    assert 0 < sum(scored) <= rescoring._FIRST_ROUND
    assert source.fetched == 0
    assert found.rows.tolist() == best_by_loops(score_bags(queries, frames, videos).scores, 5)


@pytest.mark.parametrize(
    ("exact_limit", "hold_tokens", "method"),
    [(1000, False, "pooled"), (10, False, "pooled"), (10, True, "pooled"), (10, False, "reduced")],
)
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_filter_comes_before_the_cut(exact_limit: int, hold_tokens: bool, method: str, share: float) -> None:
    frames, videos = make_levels(200, WIDTH)
    queries = make_queries(3, WIDTH, near=frames)
    scores = score_bags(queries, frames, videos).scores
    # The best of all are not allowed.
    worst_first = scores.amax(dim=0).argsort()
    rows = worst_first[: int(200 * share)]
    searcher = Searcher(
        TokensInMemory(frames, videos),
        exact_limit=exact_limit,
        hold_tokens=hold_tokens,
        calibration=calibration_of(200, 170, method),
    )
    found = searcher.top(queries, 8, rows=rows)
    assert found.rows.tolist() == best_by_loops(scores, 8, rows.tolist())


def test_weights_change_the_order_in_both_plans() -> None:
    frames, videos = make_levels(200, WIDTH)
    queries = make_queries(3, WIDTH)
    for weights in ((1.0, 0.0), (0.2, 1.5)):
        expected = best_by_loops(scores_by_loops(queries, frames, videos, weights), 5)
        for exact_limit in (1000, 10):
            searcher = Searcher(
                TokensInMemory(frames, videos), exact_limit=exact_limit, calibration=calibration_of(200, 199)
            )
            found = searcher.top(queries, 5, level_weights=dict(zip(("frame", "video"), weights, strict=True)))
            assert found.rows.tolist() == expected


def test_a_batch_finds_what_single_queries_find() -> None:
    frames, videos = make_levels(300, WIDTH, ragged=True)
    queries = make_queries(6, WIDTH, near=frames)
    for exact_limit in (1000, 10):
        searcher = Searcher(
            TokensInMemory(frames, videos), exact_limit=exact_limit, calibration=calibration_of(300, 290)
        )
        batch = searcher.top(queries, 4)
        for query in range(6):
            alone = searcher.top(rescoring.single_query(queries, query), 4)
            assert alone.rows[0].tolist() == batch.rows[query].tolist()
            assert alone.scores[0].numpy() == pytest.approx(batch.scores[query].numpy(), abs=1e-6)


def recall_of(found: torch.Tensor, exact: torch.Tensor) -> float:
    hits = [len(set(rows.tolist()) & set(best.tolist())) for rows, best in zip(found, exact, strict=True)]
    return sum(hits) / exact.numel()


def test_candidates_reach_the_recall_target_on_queries_like_those_calibrated_on() -> None:
    frames, videos = make_levels(1500, WIDTH)
    searcher = Searcher(TokensInMemory(frames, videos), exact_limit=100, recall_target=0.95)
    calibration = searcher.calibrate(queries=make_queries(64, WIDTH, near=frames, seed=1))
    assert calibration.recall >= calibration.recall_target == 0.95
    assert 10 <= calibration.num_candidates < 1500
    asked = make_queries(64, WIDTH, near=frames, seed=2)
    exact = score_bags(asked, frames, videos).scores.topk(10).indices
    found = searcher.top(asked, 10)
    assert recall_of(found.rows, exact) >= 0.95
    assert not found.is_proven.any()


@pytest.mark.parametrize("hold_tokens", [False, True])
def test_first_search_calibrates_on_queries_made_from_the_index(hold_tokens: bool) -> None:
    source = TokensInMemory(*make_levels(600, WIDTH, ragged=True))
    searcher = Searcher(source, exact_limit=100, hold_tokens=hold_tokens)
    assert searcher.calibration is None
    searcher.top(make_queries(1, WIDTH), 10)
    calibration = searcher.calibration
    assert calibration is not None
    assert calibration.recall >= calibration.recall_target == 0.99
    assert (calibration.num_queries, calibration.num_videos, calibration.real_queries) == (64, 600, False)


def test_calibration_on_given_queries_counts_the_places_of_their_best_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, videos = make_levels(400, WIDTH)
    queries = make_queries(8, WIDTH)
    source = TokensInMemory(frames, videos)
    searcher = Searcher(source, exact_limit=100, recall_target=1.0)
    monkeypatch.setattr("video_colbert.index.search.searcher._WORTH_POOLING", 0.0)
    calibration = searcher.calibrate(queries=queries, top_k=5)
    means = torch.nn.functional.normalize(
        torch.stack(
            [row[mask].mean(dim=0) for row, mask in zip(queries.query_embeds, queries.query_mask, strict=True)]
        ),
        dim=-1,
    )
    pooled = (torch.cat([means, means], dim=1) @ source.pooled().float().T).argsort(dim=1, descending=True).tolist()
    exact = score_bags(queries, frames, videos).scores.topk(5).indices.tolist()
    deepest = max(order.index(row) for order, best in zip(pooled, exact, strict=True) for row in best)
    assert calibration.num_candidates == deepest + 1
    assert calibration.real_queries
    assert searcher.top(queries, 5).rows.tolist() == exact


@pytest.mark.parametrize(("pooled_seconds", "kept"), [(0.6, "pooled"), (0.9, "reduced"), (2.0, "reduced")])
def test_pooled_vectors_are_kept_if_they_are_clearly_faster(
    pooled_seconds: float, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds(searcher: Searcher, queries: object, top_k: int) -> float:
        assert searcher.calibration is not None
        return pooled_seconds if searcher.calibration.method == "pooled" else 1.0

    monkeypatch.setattr(Searcher, "_seconds", seconds)
    frames, videos = make_levels(400, WIDTH)
    queries = make_queries(8, WIDTH)
    searcher = Searcher(TokensInMemory(frames, videos), exact_limit=100, recall_target=1.0)
    assert searcher.calibrate(queries=queries).method == kept
    exact = score_bags(queries, frames, videos).scores.topk(10).indices
    assert searcher.top(queries, 10).rows.tolist() == exact.tolist()


def test_stored_calibration_saves_reading_all_tokens() -> None:
    source = CountingTokens(*make_levels(300, WIDTH))
    Searcher(source, exact_limit=10, calibration=calibration_of(300, 40)).top(make_queries(2, WIDTH), 5)
    assert source.fetched <= 80


def test_of_equal_videos_the_first_comes_first() -> None:
    bag = make_bags([4], WIDTH).bag(0)
    frames = TokenBags.from_bags([bag] * 100)
    found = Searcher(TokensInMemory(frames, None)).top(make_queries(2, WIDTH, levels=("frame",)), 30)
    assert found.rows.tolist() == [list(range(30))] * 2
    assert found.video_scores is None


def test_fewer_videos_than_asked_for_and_none() -> None:
    frames, videos = make_levels(5, WIDTH)
    searcher = Searcher(TokensInMemory(frames, videos))
    queries = make_queries(2, WIDTH)
    assert searcher.top(queries, 100).rows.shape == (2, 5)
    assert searcher.top(queries, 100, rows=torch.tensor([4, 4, 1])).rows.sort().values.tolist() == [[1, 4]] * 2
    assert searcher.top(queries, 100, rows=torch.tensor([], dtype=torch.int64)).rows.shape == (2, 0)
    empty = Searcher(TokensInMemory(frames.part(0, 0), videos.part(0, 0)))
    assert empty.top(queries, 3).scores.shape == (2, 0)


def test_bad_arguments_are_refused() -> None:
    frames, videos = make_levels(5, WIDTH)
    source = TokensInMemory(frames, videos)
    queries = make_queries(1, WIDTH)
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        Searcher(source).top(queries, 0)
    with pytest.raises(ValueError, match=r"rows must lie between 0 and 4, got 2\.\.5"):
        Searcher(source).top(queries, 1, rows=torch.tensor([5, 2]))
    with pytest.raises(ValueError, match="level_weights names 'audio'"):
        Searcher(source).top(queries, 1, level_weights={"audio": 1.0})
    with pytest.raises(ValueError, match=r"recall_target must be above 0 and at most 1, got 1\.5"):
        Searcher(source, recall_target=1.5)
    with pytest.raises(ValueError, match="5 bags of frame tokens and 3 of video tokens"):
        TokensInMemory(frames, videos.part(0, 3))


def calibration_of(num_videos: int, num_candidates: int, method: str = "pooled") -> Calibration:
    return Calibration(method, 0.99, 1.0, 10, num_candidates, 64, real_queries=False, num_videos=num_videos)
