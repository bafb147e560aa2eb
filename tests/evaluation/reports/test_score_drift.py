import pytest
from scipy import stats

from video_colbert.evaluation.reports.score_drift import compare_rankings, rank_correlation

A, B, C, D, E = "abcde"


def test_correlation_of_whole_rankings_is_spearmans() -> None:
    one, other = [A, B, C, D, E], [B, A, C, E, D]
    places = [other.index(video) for video in one]
    assert rank_correlation(one, other) == pytest.approx(stats.spearmanr(range(5), places).statistic)
    assert rank_correlation(one, one) == pytest.approx(1.0)
    assert rank_correlation(one, one[::-1]) == pytest.approx(-1.0)


def test_videos_that_a_list_lacks_share_the_ranks_behind_it() -> None:
    one_new = stats.spearmanr([1, 2, 3], [3, 1, 2]).statistic
    all_new = stats.spearmanr([1, 2, 3.5, 3.5], [3.5, 3.5, 1, 2]).statistic
    assert rank_correlation([A, B], [B, C]) == pytest.approx(one_new)
    assert rank_correlation([A, B], [C, D]) == pytest.approx(all_new)
    assert rank_correlation([A], [A]) is None
    assert rank_correlation([], []) is None


def test_shares_are_means_over_queries_and_the_most_changed_come_first() -> None:
    drift = compare_rankings(
        ["same", "behind", "first", "all"],
        [[A, B, C], [A, B, C], [A, B, C], [A, B]],
        [[A, B, C], [A, C, D], [B, A, C], [C, D]],
        k=3,
    )
    assert drift.changed_first == 0.5
    assert drift.overlap == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert [each.query for each in drift.queries] == ["all", "first", "behind", "same"]
    assert drift.queries[1].first == (A, B)
    assert drift.as_dict()["queries"][0] == {
        "query": "all",
        "first": (A, C),
        "overlap": 0.0,
        "rank_correlation": pytest.approx(drift.queries[0].rank_correlation),
    }


def test_only_the_first_k_count() -> None:
    assert compare_rankings(["q"], [[A, B, C]], [[A, B, D]], k=2).overlap == 1.0
    assert compare_rankings(["q"], [[A, B, C]], [[A, B, D]], k=3).overlap == pytest.approx(2 / 3)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="a query or more"):
        compare_rankings([], [], [])
    with pytest.raises(ValueError, match="k=0"):
        compare_rankings(["q"], [[A]], [[A]], k=0)
