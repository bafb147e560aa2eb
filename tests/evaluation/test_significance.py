from __future__ import annotations

import numpy as np
import pytest

from video_colbert.evaluation.significance import paired_difference


def test_p_value_of_few_queries_is_the_share_of_all_sign_flips() -> None:
    # Differences 1 1 1 0: of the 8 flips of the three that count, +++ and --- reach a sum of 3.
    result = paired_difference([1, 1, 1, 0], [0, 0, 0, 0])
    assert result.exact
    assert result.p_value == pytest.approx(2 / 8)
    assert result.difference == pytest.approx(0.75)
    # Differences 1 1 -1: every flip has a sum of at least 1 in size.
    assert paired_difference([1, 1, 0], [0, 0, 1]).p_value == pytest.approx(1.0)


def test_runs_that_do_the_same_do_not_differ() -> None:
    result = paired_difference([1, 0, 1], [1, 0, 1])
    assert (result.difference, result.p_value, result.interval) == (0.0, 1.0, (0.0, 0.0))


def test_sampled_p_value_of_hits_approaches_the_exact_sign_test() -> None:
    from math import comb

    # 40 queries decide, 27 for the first run: McNemar's exact two-sided test.
    first = np.array([1] * 27 + [0] * 13 + [1] * 100)
    second = np.array([0] * 27 + [1] * 13 + [1] * 100)
    exact = 2 * sum(comb(40, wins) for wins in range(27, 41)) / 2**40
    result = paired_difference(first, second, permutations=20_000)
    assert not result.exact
    assert result.p_value == pytest.approx(exact, abs=0.005)
    assert result.difference == pytest.approx(14 / 140)
    assert result.interval[0] < 14 / 140 < result.interval[1]


def test_captions_of_one_video_are_flipped_together() -> None:
    # Twelve captions of three videos are three pieces of evidence.
    videos = np.repeat([0, 1, 2], 4)
    together = paired_difference(np.ones(12), np.zeros(12), clusters=videos)
    assert together.p_value == pytest.approx(2 / 8)
    assert (together.num_queries, together.num_clusters) == (12, 3)
    assert paired_difference(np.ones(12), np.zeros(12)).p_value == pytest.approx(2 / 2**12)


def test_under_no_difference_small_p_values_are_as_rare_as_they_say() -> None:
    generator = np.random.default_rng(0)
    p_values = [
        paired_difference(*generator.integers(0, 2, (2, 60)), permutations=200, seed=trial).p_value
        for trial in range(200)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.09


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [([1], [1, 2], "one value a query each"), ([np.nan], [1], "query 0 are not finite"), ([], [], "no query")],
)
def test_runs_that_cannot_be_compared_are_refused(first: list[float], second: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_difference(first, second)
