from __future__ import annotations

import numpy as np
import pytest

from tests.index.fusion.made_lists import made_list
from video_colbert.index.fusion.background import (
    BackgroundsByLength,
    MadeQuery,
    SourceBackground,
    fit_backgrounds,
    fit_backgrounds_by_length,
)
from video_colbert.index.fusion.fusing import fuse
from video_colbert.index.fusion.parameters import FusionParameters
from video_colbert.index.fusion.ranked_list import RankedList


def ranked(*scores: float) -> RankedList:
    return RankedList.of("speech", [(f"v{place}", score) for place, score in enumerate(scores)])


def test_probabilities_follow_bayes_rule_over_a_normal_background() -> None:
    found = SourceBackground(centre=1.0, deviation=0.5).probabilities(ranked(2.5, 2.0, 0.5))
    likelihoods = np.exp([3.0**2 / 2, 2.0**2 / 2, -(1.0**2) / 2])
    assert found == pytest.approx(likelihoods / (12 + likelihoods.sum()))


def test_a_score_beyond_what_exp_can_hold_is_certain_and_no_list_is_nothing() -> None:
    background = SourceBackground(centre=0.0, deviation=1e-3)
    assert background.probabilities(ranked(1.0, 0.5)).tolist() == pytest.approx([1.0, 0.0])
    assert background.probabilities(ranked(-1.0, -2.0)).tolist() == pytest.approx([0.0, 0.0])
    assert background.probabilities(ranked()).tolist() == []


def test_a_background_is_the_median_and_the_ninetieth_percentile_of_the_best_wrong_scores() -> None:
    best = np.arange(11) / 10
    made = [
        MadeQuery({"video": [("own", 5.0), ("other", score), ("third", score - 1)]}, "speech", "own") for score in best
    ]
    assert fit_backgrounds(made)["video"] == SourceBackground(0.5, pytest.approx(0.4 / 1.2815515655))  # type: ignore[arg-type]


def test_another_video_with_the_same_text_is_no_wrong_hit_in_the_texts_own_source() -> None:
    hits = [("own", 1.0), ("copy", 1.0 - 1e-6), ("other", 0.4)]
    made = [
        MadeQuery({"speech": [(video, score - number / 100) for video, score in hits]}, "speech", "own")
        for number in range(11)
    ]
    assert fit_backgrounds(made)["speech"].centre == pytest.approx(0.35)


def test_too_few_wrong_hits_and_equal_ones_make_no_background() -> None:
    few = [MadeQuery({"video": [("other", float(number))]}, "speech", "own") for number in range(9)]
    equal = [MadeQuery({"keywords": [("other", 0.0)]}, "speech", "own") for _ in range(20)]
    assert fit_backgrounds([*few, *equal]) == {}


def test_a_source_that_only_knows_weak_hits_gives_way_though_its_first_stands_out() -> None:
    rng = np.random.default_rng(0)
    # Speech knows nothing of the query, but its first hit shares a word; pictures have several good hits.
    lists = {
        "speech": [("a", 0.5), ("b", 0.3), ("c", 0.29), ("d", 0.28), ("e", 0.27)],
        "video": [("d", 0.9), ("e", 0.7), ("a", 0.65), ("b", 0.5), ("c", 0.45)],
    }
    spread = {"speech": (0.5, 0.05), "video": (0.3, 0.1)}
    made = [
        MadeQuery({source: [("x", rng.normal(*drawn))] for source, drawn in spread.items()}, "title", "y")
        for _ in range(50)
    ]
    assert fuse(lists)[0].id == "a"
    assert fuse(lists, parameters=FusionParameters(backgrounds=fit_backgrounds(made)))[0].id == "d"


def test_backgrounds_tell_an_answering_source_of_another_unit() -> None:
    rng = np.random.default_rng(1)
    made = [MadeQuery({"speech": made_list(rng, 100, None, 0.0)}, "title", "none") for _ in range(60)]
    background = fit_backgrounds(made)["speech"]
    wrong = [background.probabilities(RankedList.of("speech", made_list(rng, 100, None, 0.0)))[0] for _ in range(100)]
    right = [background.probabilities(RankedList.of("speech", made_list(rng, 100, 3, 6.0)))[0] for _ in range(100)]
    assert np.median(wrong) < 0.15
    assert np.median(right) > 0.9


def test_a_background_of_a_length_lies_on_a_line_between_those_measured_and_is_the_last_beyond_them() -> None:
    points = [(4.0, SourceBackground(1.0, 0.4)), (8.0, SourceBackground(2.0, 0.2)), (16.0, SourceBackground(3.0, 0.3))]
    known = BackgroundsByLength(points)
    for letters in (4, 8, 16):
        assert known.of(letters) == dict(points)[float(letters)]
    assert known.of(6).centre == pytest.approx(1.5)
    assert known.of(6).deviation == pytest.approx(0.3)
    assert known.of(32) == points[-1][1]
    assert known.of(1) == points[0][1]
    assert BackgroundsByLength(points[:1]).of(50) == SourceBackground(1.0, 0.4)


def test_a_source_has_the_points_of_lengths_that_tell_enough() -> None:
    told = [MadeQuery({"video": [("other", float(number))]}, "speech", "own") for number in range(11)]
    found = fit_backgrounds_by_length({9.0: told, 3.0: told[:4], 20.0: told})
    assert [length for length, _ in found["video"].points] == [9.0, 20.0]


def test_an_exact_name_is_found_though_longer_queries_score_higher_wherever_they_are_asked() -> None:
    # A sum over words: two words that match score less than eight that half match.
    lengths = BackgroundsByLength([(12.0, SourceBackground(1.0, 0.3)), (48.0, SourceBackground(5.0, 0.5))])
    pictures = BackgroundsByLength([(12.0, SourceBackground(0.2, 0.05))])
    known = FusionParameters(lengths={"speech": lengths, "video": pictures})
    lists = {"speech": [("right", 2.0), ("other", 1.0)], "video": [("third", 0.25), ("right", 0.1)]}
    assert fuse(lists, parameters=known.for_query("Ann Johnson!"))[0].id == "right"
    assert fuse(lists, parameters=known.for_query("x" * 48))[0].id == "third"
