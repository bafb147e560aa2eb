from __future__ import annotations

import pytest

from tests.index.fusion.made_lists import made_queries
from video_colbert.evaluation.sources.fusion_tuning import fit_parameters, held_out_fusions, tune_fusion
from video_colbert.index.fusion.fusing import fuse
from video_colbert.index.fusion.judged_query import JudgedQuery


@pytest.fixture(scope="module")
def judged() -> list[JudgedQuery]:
    return made_queries(40, seed=0, videos=60)


def test_no_query_is_ranked_by_parameters_that_know_it(judged: list[JudgedQuery]) -> None:
    groups = [number // 2 for number in range(40)]
    before = held_out_fusions(judged, ("learned",), groups=groups)["learned"]
    # Another answer to the first query changes what others of its part are fitted on not at all.
    changed = [JudgedQuery(judged[0].lists, frozenset({"v59"})), *judged[1:]]
    after = held_out_fusions(changed, ("learned",), groups=groups)["learned"]
    same = [number for number in range(40) if before[number] == after[number]]
    assert len(same) == 8
    assert {0, 1} <= set(same)


def test_held_out_rankings_are_those_of_parameters_fitted_on_the_other_parts(judged: list[JudgedQuery]) -> None:
    groups = [number % 2 for number in range(40)]
    found = held_out_fusions(judged, ("calibrated",), groups=groups, parts=2)["calibrated"]
    for own in range(2):
        parameters = fit_parameters([query for number, query in enumerate(judged) if number % 2 != own])
        for number in range(own, 40, 2):
            assert found[number] == fuse(judged[number].lists, parameters=parameters)


def test_figures_are_of_each_source_alone_and_of_every_fusion(judged: list[JudgedQuery]) -> None:
    tuning = tune_fusion(judged)
    assert tuning.num_queries == 40
    assert set(tuning.alone) == {"speech", "video"}
    assert set(tuning.unfitted) == {"calibrated", "reciprocal", "standardised", "max", "router"}
    assert set(tuning.held_out) == {"calibrated", "learned", "router"}
    first = [query.lists["speech"][0][0] in query.right for query in judged]
    assert tuning.alone["speech"].hit_rate[1] == pytest.approx(100 * sum(first) / 40)
    assert tuning.held_out["learned"].hit_rate[1] > tuning.alone["speech"].hit_rate[1] + 20
    assert tuning.held_out["learned"].ndcg > tuning.alone["speech"].ndcg
    assert tuning.parameters == fit_parameters(judged)


def test_too_few_queries_are_refused(judged: list[JudgedQuery]) -> None:
    with pytest.raises(ValueError, match="5 parts need as many judged queries that have nothing in common, got 4"):
        tune_fusion(judged[:4])
