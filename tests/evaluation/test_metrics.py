from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from video_colbert.evaluation.metrics import (
    RankAccumulator,
    pairwise_discrimination,
    text_to_video_metrics,
    video_to_text_metrics,
)
from video_colbert.evaluation.rank_counts import rank_counts

KS = (1, 2, 3)


def possible_ranks(scores: np.ndarray, positives: set[int]) -> list[int]:
    """The first positive's rank under every order that the scores allow, each equally likely."""
    ranks = []
    groups = [np.flatnonzero(scores == value).tolist() for value in sorted(set(scores), reverse=True)]
    for order in itertools.product(*(itertools.permutations(group) for group in groups)):
        flat = list(itertools.chain.from_iterable(order))
        ranks.append(1 + next(place for place, item in enumerate(flat) if item in positives))
    return ranks


def brute_force(ranks_of_queries: Sequence[Sequence[int]]) -> dict[str, float]:
    """Averages every metric over all combinations of the queries' equally likely ranks."""
    combinations = np.array(list(itertools.product(*ranks_of_queries)), dtype=float)
    hits = {f"R@{k}": 100 * float((combinations <= k).mean()) for k in KS}
    return {
        **hits,
        "MdR": float(np.median(combinations, axis=1).mean()),
        "MnR": float(combinations.mean()),
        "MRR": float((1 / combinations).mean()),
    }


def assert_same(actual: dict[str, float], expected: dict[str, float], tolerance: float = 1e-9) -> None:
    assert actual.keys() == expected.keys()
    for name in expected:
        assert actual[name] == pytest.approx(expected[name], abs=tolerance), name


def random_case(seed: int, queries: int, gallery: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a coarse grid, hence ties, with one to three positives a query."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, (queries, gallery)) / 4
    positives = np.zeros((queries, gallery), dtype=bool)
    for row in positives:
        row[generator.choice(gallery, generator.integers(1, 4), replace=False)] = True
    return scores, positives


@pytest.mark.parametrize("queries", [1, 2, 3])
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_tied_metrics_equal_the_average_over_every_tie_breaking(queries: int, levels: int, seed: int) -> None:
    scores, positives = random_case(seed, queries, gallery=4, levels=levels)
    ranks = [possible_ranks(row, set(np.flatnonzero(mask))) for row, mask in zip(scores, positives, strict=True)]
    assert_same(text_to_video_metrics(scores, positives, ks=KS).as_dict(), brute_force(ranks))


def test_larger_tied_case_equals_a_loop_over_the_distribution_of_each_rank() -> None:
    scores, positives = random_case(seed=11, queries=60, gallery=80, levels=6)
    distributions = []
    for row, mask in zip(scores, positives, strict=True):
        best = row[mask].max()
        better = int((row > best).sum())
        tied = [bool(positive) for positive in mask[row == best]]
        chance, distribution = 1.0, {}
        negatives, items = tied.count(False), len(tied)
        for before in range(negatives + 1):
            # Draw the tied items one by one: `before` negatives are gone, the next is a positive.
            left = items - before
            distribution[better + 1 + before] = chance * tied.count(True) / left
            chance *= (negatives - before) / left
        assert sum(distribution.values()) == pytest.approx(1)
        distributions.append(distribution)

    def mean(value: Callable[[int], float]) -> float:
        return statistics.fmean(sum(p * value(rank) for rank, p in d.items()) for d in distributions)

    metrics = text_to_video_metrics(scores, positives).as_dict()
    for k in (1, 5, 10):
        assert metrics[f"R@{k}"] == pytest.approx(100 * mean(lambda rank, k=k: rank <= k), abs=1e-9)
    assert metrics["MnR"] == pytest.approx(mean(lambda rank: rank), abs=1e-9)
    assert metrics["MRR"] == pytest.approx(mean(lambda rank: 1 / rank), abs=1e-9)

    # The expected median: P(fewer than j of the ranks are at most r), one query after another.
    def order_statistic(place: int) -> float:
        expected = 0.0
        for rank in range(80):
            reached = [1.0]
            for distribution in distributions:
                probability = sum(p for value, p in distribution.items() if value <= rank)
                reached = [
                    (reached[count] if count < len(reached) else 0) * (1 - probability)
                    + (reached[count - 1] if count else 0) * probability
                    for count in range(len(reached) + 1)
                ]
            expected += sum(reached[:place])
        return expected

    assert metrics["MdR"] == pytest.approx((order_statistic(30) + order_statistic(31)) / 2, abs=1e-9)


@pytest.mark.parametrize("ties", ["optimistic", "pessimistic"])
def test_optimistic_and_pessimistic_ranks_are_the_ends_of_what_ties_allow(ties: str) -> None:
    scores, positives = random_case(seed=5, queries=7, gallery=6, levels=3)
    end = min if ties == "optimistic" else max
    ranks = [
        [end(possible_ranks(row, set(np.flatnonzero(mask))))] for row, mask in zip(scores, positives, strict=True)
    ]
    assert_same(text_to_video_metrics(scores, positives, ks=KS, ties=ties).as_dict(), brute_force(ranks))


def test_untied_scores_give_the_same_metrics_under_every_tie_rule() -> None:
    generator = np.random.default_rng(0)
    scores = generator.permutation(400).reshape(20, 20).astype(float)
    results = [
        text_to_video_metrics(scores, list(range(20)), ks=KS, ties=ties).as_dict()
        for ties in ("expected", "optimistic", "pessimistic")
    ]
    ranks = [[1 + int((row > row[i]).sum())] for i, row in enumerate(scores)]
    for result in results:
        assert_same(result, brute_force(ranks))


def test_constant_scores_are_at_chance() -> None:
    metrics = text_to_video_metrics(np.zeros((200, 200)), list(range(200))).as_dict()
    assert metrics["R@1"] == pytest.approx(0.5)
    assert metrics["R@10"] == pytest.approx(5.0)
    assert metrics["MnR"] == pytest.approx(100.5)
    assert metrics["MdR"] == pytest.approx(100.5, abs=1e-9)  # symmetric around the middle
    assert metrics["MRR"] == pytest.approx(sum(1 / rank for rank in range(1, 201)) / 200, abs=1e-12)


def test_half_the_rows_tied_in_pairs_at_the_top_hit_three_times_in_four() -> None:
    scores = torch.eye(4)
    scores[0, 1] = scores[2, 3] = 1.0
    assert text_to_video_metrics(scores, [0, 1, 2, 3]).hit_rate[1] == pytest.approx(75.0)


def test_many_wide_ties_keep_the_median_exact() -> None:
    # 601 queries uniform on ranks 1 to 600 each: the median of uniforms is symmetric around 300.5.
    metrics = text_to_video_metrics(np.zeros((601, 600)), [i % 600 for i in range(601)])
    assert metrics.median_rank == pytest.approx(300.5, abs=1e-9)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_positives_as_indices_equal_positives_as_mask(kind: Callable[[Any], Any]) -> None:
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 5, (6, 9)).astype(float)
    indices = [[int(i) for i in generator.choice(9, 2, replace=False)] for _ in range(6)]
    mask = np.zeros((6, 9), dtype=bool)
    for row, pair in zip(mask, indices, strict=True):
        row[pair] = True
    assert text_to_video_metrics(scores, kind(indices)) == text_to_video_metrics(scores, mask)


def test_video_to_text_ranks_texts_by_the_best_placed_caption_of_a_video() -> None:
    # Texts 0 and 1 describe video 0, text 2 describes video 1.
    scores = torch.tensor([[0.1, 0.8], [0.9, 0.3], [0.5, 0.2]])
    metrics = video_to_text_metrics(scores, [0, 0, 1])
    # Video 0: text 1 is first. Video 1: texts 0 and 1 stand above text 2.
    assert metrics.hit_rate[1] == pytest.approx(50.0)
    assert metrics.mean_rank == pytest.approx(2.0)
    assert metrics.num_queries == 2
    assert metrics.gallery == 3


@pytest.mark.parametrize("block", [1, 7, 40])
def test_blocks_of_queries_give_the_metrics_of_the_full_matrix(block: int) -> None:
    scores, positives = random_case(seed=2, queries=40, gallery=30, levels=5)
    accumulator = RankAccumulator()
    for start in range(0, 40, block):
        accumulator.update(scores[start : start + block], positives[start : start + block])
    assert accumulator.compute() == text_to_video_metrics(scores, positives)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_scores_of_any_number_type_are_ranked(dtype: torch.dtype) -> None:
    scores = torch.tensor([[3, 1, 2], [-5, -4, -6]]).to(dtype)
    assert text_to_video_metrics(scores, [2, 0]).mean_rank == pytest.approx(2.0)


def test_scores_that_need_gradients_are_ranked() -> None:
    scores = torch.eye(3, requires_grad=True)
    assert text_to_video_metrics(scores, [0, 1, 2]).hit_rate[1] == 100.0


@pytest.mark.parametrize(
    ("scores", "positives", "message"),
    [
        (torch.zeros(3), [0], "matrix"),
        (torch.tensor([[1.0, float("nan")]]), [0], "query 0 hold NaN"),
        (torch.zeros(2, 3), [[0], []], "query 1 has no positive"),
        (torch.zeros(2, 3), [0, 3], "positive 3 of query 1"),
        (torch.zeros(2, 3), [0], "1 queries and scores for 2"),
        (torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.bool), "shape"),
        (torch.zeros(0, 3), [], "no query"),
    ],
)
def test_bad_input_is_named(scores: torch.Tensor, positives: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_to_video_metrics(scores, positives)


def test_unknown_tie_rule_and_cut_off_are_refused() -> None:
    with pytest.raises(ValueError, match="ties must be one of expected, optimistic, pessimistic, clip4clip"):
        text_to_video_metrics(torch.eye(2), [0, 1], ties="random")
    with pytest.raises(ValueError, match="start at 1"):
        text_to_video_metrics(torch.eye(2), [0, 1], ks=(0,))


def test_accumulator_refuses_blocks_of_different_galleries() -> None:
    accumulator = RankAccumulator()
    accumulator.update(torch.eye(2), [0, 1])
    accumulator.update(torch.eye(3), [0, 1, 2])
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        accumulator.compute()


def test_rank_counts_name_what_decides_the_rank() -> None:
    counts = rank_counts(torch.tensor([[0.5, 0.9, 0.5, 0.5, 0.1]]), [[0, 4, 3]])
    assert (counts.better[0], counts.tied_negatives[0], counts.tied_positives[0]) == (1, 1, 2)
    assert counts.gallery == 5


def test_pairs_within_the_tolerance_count_half() -> None:
    matched = [1.0, 1.0, 1.0, 1.0]
    mismatched = [0.5, 1.0 + 5e-7, 1.0 - 5e-7, 2.0]
    assert pairwise_discrimination(matched, mismatched) == pytest.approx(50.0)
    assert pairwise_discrimination(torch.tensor([1.0, 0.2]), torch.tensor([0.0, 0.1])) == 100.0


@pytest.mark.parametrize(
    ("matched", "mismatched", "message"),
    [([], [], "no pair"), ([1.0], [1.0, 2.0], "one length"), ([float("nan")], [0.0], "NaN")],
)
def test_pairs_that_cannot_be_compared_are_refused(
    matched: list[float], mismatched: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pairwise_discrimination(matched, mismatched)
