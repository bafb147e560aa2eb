"""nDCG beside a walk over every order of tied videos, and beside ranx."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from video_colbert.evaluation.graded_metrics import Gain, expected_ndcg, mean_ndcg


def made_query(seed: int, *, levels: int, videos: int = 8) -> tuple[list[tuple[str, float]], dict[str, int]]:
    """A ranking whose scores take so many values, and grades of 0 to 3, two of them of videos not found."""
    rng = np.random.default_rng(seed)
    ranking = [(f"v{number}", float(rng.integers(levels))) for number in range(videos)]
    grades = {f"v{number}": int(rng.integers(4)) for number in range(2, videos + 2)}
    return ranking, {**grades, "v0": 2}


def loop(ranking: list[str], grades: dict[str, int], k: int, gain: Gain) -> float:
    def worth(grade: float) -> float:
        return grade if gain == "linear" else 2**grade - 1

    found = sum(worth(grades.get(video, 0)) / math.log2(rank + 1) for rank, video in enumerate(ranking[:k], start=1))
    best = sorted(grades.values(), reverse=True)[:k]
    return found / sum(worth(grade) / math.log2(rank + 1) for rank, grade in enumerate(best, start=1))


@pytest.mark.parametrize("gain", ["linear", "exponential"])
@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_ties_are_the_mean_over_all_orders(seed: int, k: int, gain: Gain) -> None:
    ranking, grades = made_query(seed, levels=3)
    orders = [
        loop([video for video, _ in order], grades, k, gain)
        for order in itertools.permutations(ranking)
        if all(before[1] >= after[1] for before, after in itertools.pairwise(order))
    ]
    assert expected_ndcg(ranking, grades, k=k, gain=gain) == pytest.approx(np.mean(orders), abs=1e-12)


def test_the_mean_over_queries_skips_those_without_a_relevant_video_and_counts_unanswered_ones() -> None:
    ranking, grades = made_query(0, levels=1000)
    judgements = {"a": grades, "b": {"v1": 0}, "c": {"v1": 1}}
    expected = (loop([video for video, _ in sorted(ranking, key=lambda pair: -pair[1])], grades, 10, "linear") + 0) / 2
    assert mean_ndcg({"a": ranking, "b": ranking}, judgements) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ranking", "grades", "k", "message"),
    [
        ([("a", 1.0)], {"a": 1}, 0, "starts at 1, got 0"),
        ([("a", 1.0)], {"a": 0}, 10, "at least one relevant video"),
        ([("a", 1.0), ("a", 2.0)], {"a": 1}, 10, "twice"),
        ([("a", math.nan)], {"a": 1}, 10, "not a number"),
    ],
)
def test_what_has_no_ndcg_is_refused(
    ranking: list[tuple[str, float]], grades: dict[str, int], k: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        expected_ndcg(ranking, grades, k=k)


def test_no_relevant_video_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no query has a relevant video"):
        mean_ndcg({}, {"a": {"x": 0}})
