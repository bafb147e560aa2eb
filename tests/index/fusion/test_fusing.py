from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import zscore

from tests.index.fusion.made_lists import made_list, made_queries
from video_colbert.index.fusion.background import SourceBackground
from video_colbert.index.fusion.calibration import SourceCalibration, fit_calibrations
from video_colbert.index.fusion.evidence import probabilities_of_list
from video_colbert.index.fusion.fusing import FUSION_METHODS, FusionMethod, fuse
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.fusion.parameters import FusionParameters
from video_colbert.index.fusion.ranked_list import RankedList
from video_colbert.index.fusion.source_weights import SourceWeights, fit_weights

Lists = dict[str, list[tuple[str, float]]]


def parted_lists(seed: int = 0) -> Lists:
    """Lists of three sources, each of which lists a part of the videos."""
    rng = np.random.default_rng(seed)
    return {source: made_list(rng, 30, None, 0.0)[:cut] for source, cut in (("a", 30), ("b", 20), ("c", 7))}


def share_right(queries: list[JudgedQuery], method: FusionMethod, parameters: FusionParameters) -> float:
    found = [fuse(query.lists, method=method, parameters=parameters)[0].id in query.right for query in queries]
    return float(np.mean(found))


def test_reciprocal_ranks_add_up_over_the_sources() -> None:
    lists = parted_lists()
    expected: dict[str, float] = {}
    for hits in lists.values():
        for rank, (video, _) in enumerate(hits, start=1):
            expected[video] = expected.get(video, 0.0) + 1 / (60 + rank)
    assert {hit.id: hit.score for hit in fuse(lists, method="reciprocal")} == pytest.approx(expected)


def test_the_best_source_is_that_of_the_largest_standardised_score() -> None:
    lists = parted_lists()
    by_source = [dict(zip(dict(hits), zscore([score for _, score in hits]), strict=True)) for hits in lists.values()]
    expected = {video: max(each[video] for each in by_source if video in each) for video, _ in lists["a"]}
    assert {hit.id: hit.score for hit in fuse(lists, method="max")} == pytest.approx(expected)


def test_standardised_scores_count_an_unlisted_video_as_the_last_hit() -> None:
    lists = parted_lists()
    expected = dict.fromkeys((video for video, _ in lists["a"]), 0.0)
    for hits in lists.values():
        scores = np.array([score for _, score in hits])
        by_video = dict(zip([video for video, _ in hits], (scores - scores.mean()) / scores.std(), strict=True))
        for video in expected:
            expected[video] += by_video.get(video, min(by_video.values()))
    assert {hit.id: hit.score for hit in fuse(lists, method="standardised")} == pytest.approx(expected)


def test_learned_scores_are_the_weighted_sum() -> None:
    lists = parted_lists()
    # Weights of one on standardised scores alone are the standardised fusion.
    weights = {source: SourceWeights(standardised=1.0, probability=0.0) for source in lists}
    learned = fuse(lists, method="learned", parameters=FusionParameters(weights=weights))
    assert [(hit.id, pytest.approx(hit.score)) for hit in learned] == [
        (hit.id, hit.score) for hit in fuse(lists, method="standardised")
    ]


def test_calibrated_scores_are_the_probability_that_not_every_source_is_wrong() -> None:
    lists: Lists = {"a": [("x", 2.0), ("y", 0.0)], "b": [("x", 1.0)]}
    calibrations = {source: SourceCalibration(-1.0, 1.0, 0.5, 0.0) for source in lists}
    hits = fuse(lists, parameters=FusionParameters(calibrations=calibrations))
    p_a, p_b = (1 / (1 + np.exp(-(-1.0 + score + 0.5 * margin))) for score, margin in ((2.0, 2.0), (1.0, 0.0)))
    assert hits[0].id == "x"
    assert hits[0].score == pytest.approx(1 - (1 - p_a) * (1 - p_b))
    assert hits[0].parts == pytest.approx({"a": p_a, "b": p_b})


def test_without_judgements_background_and_list_are_pooled_and_a_list_without_a_background_stands_alone() -> None:
    lists = parted_lists()
    backgrounds = {"a": SourceBackground(1.5, 0.5), "b": SourceBackground(3.0, 0.4)}
    wrong: dict[str, float] = {}
    for source, hits in lists.items():
        ranked = RankedList.of(source, hits)
        odds = probabilities_of_list(ranked) / (1 - probabilities_of_list(ranked))
        if source in backgrounds:
            of_background = backgrounds[source].probabilities(ranked)
            odds = np.sqrt(odds * of_background / (1 - of_background))
        for video, value in zip(ranked.ids, odds.tolist(), strict=True):
            wrong[video] = wrong.get(video, 1.0) / (1 + value)
    expected = {video: 1 - value for video, value in wrong.items()}
    found = fuse(lists, parameters=FusionParameters(backgrounds=backgrounds))
    assert {hit.id: hit.score for hit in found} == pytest.approx(expected, abs=1e-6)


def test_a_router_asks_the_one_source_whose_first_hit_stands_out() -> None:
    rng = np.random.default_rng(3)
    lists = {"speech": made_list(rng, 100, 4, 9.0), "video": made_list(rng, 100, None, 0.0)}
    hits = fuse(lists, method="router")
    assert [hit.id for hit in hits] == [video for video, _ in lists["speech"]]
    assert {hit.source for hit in hits} == {"speech"}


@pytest.mark.parametrize("method", [method for method in FUSION_METHODS if method != "learned"])
def test_a_hit_says_where_each_source_has_it(method: FusionMethod) -> None:
    lists = parted_lists()
    for hit in fuse(lists, method=method):
        for source, rank in hit.ranks.items():
            assert lists[source][rank - 1] == (hit.id, hit.scores[source])
        if method != "router":
            assert set(hit.ranks) == {source for source, hits in lists.items() if hit.id in dict(hits)}
        assert hit.parts[hit.source] == max(hit.parts.values())


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_nothing_found_anywhere_is_an_empty_ranking(method: FusionMethod) -> None:
    assert fuse({"speech": [], "video": []}, method=method) == []


def test_a_limit_keeps_the_best_of_equal_scores_by_rank_and_id() -> None:
    lists: Lists = {"a": [("y", 1.0)], "b": [("x", 1.0)]}
    assert [hit.id for hit in fuse(lists, method="reciprocal")] == ["x", "y"]
    assert [hit.id for hit in fuse(lists, method="reciprocal", limit=1)] == ["x"]


def test_probabilities_beat_equal_ranks_where_one_source_answers() -> None:
    queries = made_queries(100, seed=5, lead=7.0)
    by_ranks = share_right(queries, "reciprocal", FusionParameters())
    assert share_right(queries, "calibrated", FusionParameters()) > max(0.9, by_ranks + 0.2)


def test_what_is_fitted_on_some_queries_holds_for_others() -> None:
    judged, others = made_queries(60, seed=6), made_queries(100, seed=7)
    parameters = FusionParameters(calibrations=fit_calibrations(judged), weights=fit_weights(judged))
    assert share_right(others, "calibrated", parameters) >= share_right(others, "calibrated", FusionParameters())
    assert share_right(others, "learned", parameters) >= share_right(others, "reciprocal", FusionParameters()) + 0.2


def test_unknown_methods_and_missing_weights_are_named() -> None:
    with pytest.raises(ValueError, match=r"must be one of calibrated, reciprocal, .* got 'sum'"):
        fuse({}, method="sum")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a weight for b; those learned are for: a"):
        fuse(parted_lists(), method="learned", parameters=FusionParameters(weights={"a": SourceWeights(1.0, 0.0)}))
