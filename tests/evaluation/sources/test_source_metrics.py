from __future__ import annotations

import itertools

import numpy as np
import pytest

from video_colbert.evaluation.sources.source_metrics import hit_rates_by_source, source_choice


def test_hit_rates_of_each_source_are_the_mean_over_all_orders_of_ties() -> None:
    rng = np.random.default_rng(0)
    rankings = [[(f"v{n}", float(rng.integers(3))) for n in rng.permutation(7)[:6]] for _ in range(12)]
    right = [{f"v{n}" for n in rng.permutation(7)[:2]} for _ in rankings]
    sources = ["speech", "video", "speech"] * 4
    expected: dict[str, dict[int, list[float]]] = {}
    for ranking, videos, source in zip(rankings, right, sources, strict=True):
        orders = [
            order
            for order in itertools.permutations(ranking)
            if all(before[1] >= after[1] for before, after in itertools.pairwise(order))
        ]
        for k in (1, 2):
            share = np.mean([any(video in videos for video, _ in order[:k]) for order in orders])
            for name in ("all", source):
                expected.setdefault(name, {}).setdefault(k, []).append(100 * float(share))
    rates = hit_rates_by_source(rankings, right, sources, ks=(1, 2))
    assert set(rates) == {"all", "speech", "video"}
    for source, by_k in expected.items():
        assert rates[source] == pytest.approx({k: np.mean(shares) for k, shares in by_k.items()})


def test_a_right_video_that_is_not_found_is_a_miss() -> None:
    assert hit_rates_by_source([[("a", 1.0)], []], [["b"], ["a"]], ["speech", "speech"], ks=(1,)) == {
        "all": {1: 0.0},
        "speech": {1: 0.0},
    }


def test_choices_are_counted_by_the_source_that_answers() -> None:
    choice = source_choice(["speech", "video", None, "video"], ["speech", "speech", "speech", "video"])
    assert choice.accuracy == pytest.approx({"all": 50.0, "speech": 100 / 3, "video": 100.0})
    assert choice.chosen == {"speech": {"speech": 1, "video": 1, None: 1}, "video": {"video": 1}}


def test_arguments_of_different_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="of the same queries, got 1, 1 and 2"):
        hit_rates_by_source([[]], [["a"]], ["speech", "video"])
    with pytest.raises(ValueError, match="a query has no right video"):
        hit_rates_by_source([[]], [[]], ["speech"])
    with pytest.raises(ValueError, match="of the same queries, got 0 and 0"):
        source_choice([], [])
