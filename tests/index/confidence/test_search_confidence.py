import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from tests.index.confidence.judged_lists import judged_lists
from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.source_hits import SourceHit
from video_colbert.index.confidence.search_confidence import (
    JudgedHits,
    SearchConfidence,
    fit_confidence,
    listed,
    with_probabilities,
)
from video_colbert.index.index_notes import IndexNotes


@pytest.fixture(scope="module")
def confidence() -> SearchConfidence:
    return fit_confidence(judged_lists(600), num_videos=60, sources=("video",), level_weights={"frame": 1.0})


def test_hits_are_right_as_often_as_their_probability_says(confidence: SearchConfidence) -> None:
    judged = judged_lists(2000, seed=1)
    first = np.array([confidence.probabilities(query.hits)[0] for query in judged])
    right = np.array([query.hits[0][0] == "right" for query in judged])
    for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.0)):
        inside = (first >= low) & (first < high)
        expected, count = float(first[inside].mean()), int(inside.sum())
        assert count > 50
        assert abs(right[inside].mean() - expected) < 0.04 + 3 * np.sqrt(expected * (1 - expected) / count)


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_stated_rate_of_false_positives_holds_for_queries_whose_video_is_not_there(
    confidence: SearchConfidence, rate: float
) -> None:
    absent = [query.wrong for query in judged_lists(400, seed=2)]
    wrong = sum(confidence.false_positive_rate(hits) <= rate for hits in absent)
    low, high = stats.binom.interval(0.99, len(absent), rate)
    assert low <= wrong <= high
    found = sum(confidence.false_positive_rate(query.hits) <= rate for query in judged_lists(400, seed=3))
    assert found > 2 * wrong


def test_rate_is_the_share_of_absent_queries_with_as_good_a_first_hit() -> None:
    judged = judged_lists(60)
    confidence = fit_confidence(judged, num_videos=60, sources=("video",), level_weights={})
    best = max(judged, key=lambda query: confidence.absent.index(_nearest(confidence, query)))
    assert confidence.false_positive_rate(best.wrong) == 2 / 61
    assert confidence.false_positive_rate([]) == 1.0
    assert confidence.lowest_rate == 1 / 61
    sure = [("a", 50.0), *judged[0].wrong]
    assert confidence.false_positive_rate(sure) == 1 / 61


def _nearest(confidence: SearchConfidence, query: JudgedHits) -> float:
    """The one of the absent queries' odds that is this query's, by the rate that it has."""
    place = len(confidence.absent) + 1 - round(confidence.false_positive_rate(query.wrong) * 61)
    return confidence.absent[place]


def test_many_queries_are_kept_as_few_numbers_that_state_the_same_rates() -> None:
    judged = judged_lists(1500, length=45)
    confidence = fit_confidence(judged, num_videos=45, sources=("video",), level_weights={})
    assert len(confidence.absent) == 400
    rates = np.array([confidence.false_positive_rate(query.wrong) for query in judged])
    assert (rates <= 0.1).mean() == pytest.approx(0.1, abs=0.005)


def test_hits_carry_probabilities_and_those_beyond_the_fortieth_none_to_speak_of(confidence: SearchConfidence) -> None:
    [query] = judged_lists(1, seed=5)
    hits = [SearchHit(rank, video, 0.0, 1.0, score, {}, ()) for rank, (video, score) in enumerate(query.hits, 1)]
    likely, rate = with_probabilities(confidence, hits)
    assert [hit.probability for hit in likely] == pytest.approx(list(confidence.probabilities(query.hits)))
    assert [hit.probability for hit in likely[40:]] == [0.0] * 20
    assert rate == confidence.false_positive_rate(query.hits)


def test_fused_scores_are_compared_by_their_odds() -> None:
    sources = (SourceHit("video", 1, 0.3), SourceHit("speech", 2, 0.4))
    [(video, score)] = listed([SearchHit(1, "a.mp4", 0.0, 1.0, 0.9, {}, (), sources=sources)])
    assert (video, score) == ("a.mp4", pytest.approx(np.log(9)))
    assert listed([SearchHit(1, "a.mp4", 0.0, 1.0, 0.9, {}, ())]) == [("a.mp4", 0.9)]


def test_confidence_is_of_the_search_that_it_was_learned_of(confidence: SearchConfidence) -> None:
    assert confidence.is_of(("video",), {"frame": 1.0})
    assert not confidence.is_of(("video", "speech"), {"frame": 1.0})
    assert not confidence.is_of(("video",), {"frame": 0.5})


def test_confidence_is_kept_in_the_notes_of_an_index(confidence: SearchConfidence) -> None:
    notes = IndexNotes(confidence=confidence)
    assert IndexNotes.from_text(notes.to_text()) == notes
    assert SearchConfidence.from_json(json.loads(json.dumps(confidence.to_json()))) == confidence


@pytest.mark.parametrize("change", [{"absent": []}, {"absent": [float("nan")]}, {"presence": {"score": 1.0}}, {}])
def test_record_of_another_form_is_refused(confidence: SearchConfidence, change: dict[str, object]) -> None:
    record: object = {**confidence.to_json(), **change} if change else []
    with pytest.raises(ValueError, match="search's confidence must"):
        SearchConfidence.from_json(record)


def test_too_few_queries_or_hits_of_one_kind_are_refused() -> None:
    facts = {"num_videos": 60, "sources": ("video",), "level_weights": {}}
    with pytest.raises(ValueError, match="50 judged queries or more, got 49"):
        fit_confidence(judged_lists(49), **facts)  # type: ignore[arg-type]
    wrong = [dataclasses.replace(query, right=frozenset()) for query in judged_lists(50)]
    with pytest.raises(ValueError, match="no right hit, or no wrong one"):
        fit_confidence(wrong, **facts)  # type: ignore[arg-type]
