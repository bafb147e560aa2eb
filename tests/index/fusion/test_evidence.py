from __future__ import annotations

import numpy as np
import pytest

from tests.index.fusion.made_lists import made_list
from video_colbert.index.fusion.evidence import pooled, probabilities_of_list, reciprocal_ranks, standardised
from video_colbert.index.fusion.ranked_list import RankedList


def ranked(*scores: float) -> RankedList:
    return RankedList.of("speech", [(f"v{place}", score) for place, score in enumerate(scores)])


def test_equal_scores_share_the_mean_of_what_their_ranks_give() -> None:
    shared = (1 / 62 + 1 / 63) / 2
    assert reciprocal_ranks(ranked(3.0, 2.0, 2.0, 1.0)).tolist() == pytest.approx([1 / 61, shared, shared, 1 / 64])


def test_standardised_scores_have_mean_zero_and_deviation_one() -> None:
    values = standardised(ranked(7.0, 4.0, 3.0, 2.0))
    assert values.tolist() == pytest.approx([3 / 3.5**0.5, 0.0, -1 / 3.5**0.5, -2 / 3.5**0.5])


@pytest.mark.parametrize("score", [0.0, 0.1, 1e9])
def test_equal_scores_standardise_to_zeros(score: float) -> None:
    assert standardised(ranked(*[score] * 7)).tolist() == [0.0] * 7


def test_probabilities_follow_bayes_rule_over_an_exponential_tail() -> None:
    scores = np.sort(np.random.default_rng(0).normal(size=300))[::-1]
    scale = (scores[10] - scores[39]) / np.log(40 / 11)
    # Expected number of wrong videos above s, and that number's density against an even one.
    wrong = [40 * np.exp(-(score - scores[39]) / scale) for score in scores]
    odds = np.array([40 / each for each in wrong])
    assert probabilities_of_list(ranked(*scores)) == pytest.approx(odds / (4 * 40 + odds.sum()), rel=1e-9)


def test_probabilities_do_not_change_with_the_unit_of_the_scores() -> None:
    scores = np.sort(np.random.default_rng(1).normal(size=100))[::-1]
    before = probabilities_of_list(ranked(*scores))
    assert probabilities_of_list(ranked(*(1e-3 * scores + 5.0))) == pytest.approx(before, rel=1e-6)


def test_the_first_hit_of_noise_is_doubted_and_one_that_stands_out_believed() -> None:
    rng = np.random.default_rng(2)
    of_noise = [probabilities_of_list(RankedList.of("speech", made_list(rng, 400, None, 0.0)))[0] for _ in range(200)]
    of_right = [probabilities_of_list(RankedList.of("speech", made_list(rng, 400, 7, 7.0)))[0] for _ in range(200)]
    assert np.median(of_noise) < 0.2
    assert np.median(of_right) > 0.9


def test_a_score_beyond_what_exp_can_hold_is_certain() -> None:
    assert probabilities_of_list(ranked(1e6, 0.4, 0.3, 0.2, 0.1)).tolist() == pytest.approx([1.0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((), []), ((3.0,), [0.5]), ((3.0, 1.0), [0.5, 0.0]), ((2.0, 2.0, 2.0, 2.0), [0.125] * 4)],
)
def test_where_noise_cannot_be_told_the_first_hits_share_a_half(
    scores: tuple[float, ...], expected: list[float]
) -> None:
    assert probabilities_of_list(ranked(*scores)).tolist() == expected


def test_pooled_odds_are_the_geometric_mean_of_both() -> None:
    some, others = np.array([0.9, 0.5, 0.2]), np.array([0.4, 0.8, 0.5])
    odds = np.sqrt(some / (1 - some) * others / (1 - others))
    assert pooled(some, others).tolist() == pytest.approx((odds / (1 + odds)).tolist())
    certain = pooled(np.array([1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    assert certain.tolist() == pytest.approx([0.5, 0.0, 1.0], abs=1e-4)
