"""How well a hit fits, as people read it."""

from __future__ import annotations

import math

import pytest
import torch

from video_colbert.app.answers.relevance import relevances, score_at_random
from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.source_hits import SourceHit
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.token_bags import TokenBags


def hits(*scores: float, sources: tuple[SourceHit, ...] = ()) -> list[SearchHit]:
    return [
        SearchHit(rank, f"{rank}.mp4", 0.0, 4.0, score, {}, (), sources=sources)
        for rank, score in enumerate(scores, start=1)
    ]


def test_no_shift_and_no_unit_of_a_models_scores_changes_it() -> None:
    scores = (0.9, 0.5, 0.1, -0.3)
    expected = [1.0, 0.5, 0.0, 0.0]
    assert relevances(hits(*scores), 0.1, 4) == pytest.approx(expected)
    moved = [0.2 + 0.01 * score for score in scores]
    assert relevances(hits(*moved), 0.2 + 0.01 * 0.1, 4) == pytest.approx(expected)


def test_where_no_hit_is_better_than_a_video_at_random_only_the_best_is_full() -> None:
    assert relevances(hits(0.3, 0.3, 0.2), 0.4, 3) == [1.0, 1.0, 0.0]
    assert relevances([], 0.4, 3) == []


def test_without_a_known_score_at_random_it_is_a_share_of_the_best() -> None:
    assert relevances(hits(8.0, 2.0), None, 100) == [1.0, 0.25]


def test_of_several_sources_it_compares_the_odds_of_being_the_right_one() -> None:
    found = hits(0.9, 0.5, 0.0001, sources=(SourceHit("video", 1, 0.3), SourceHit("speech", 1, 12.0)))
    low = math.log(1 / 999)
    expected = [1.0, (0.0 - low) / (math.log(9.0) - low), 0.0]
    assert relevances(found, 0.3, 1000) == pytest.approx(expected)


def test_of_one_source_that_found_something_its_own_scores_are_compared() -> None:
    found = [hits(8.0, sources=(SourceHit("keywords", 1, 8.0),)), hits(2.0, sources=(SourceHit("keywords", 2, 2.0),))]
    assert relevances([hit for of_rank in found for hit in of_rank], None, 100) == [1.0, 0.25]


def test_the_score_at_random_is_the_median_of_a_sample() -> None:
    query = QueryBags(torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, dtype=torch.bool), [[]])
    queries = EncodedQueries.of_one_encoder(["a dog"], query, ("frame",))
    bags = [torch.tensor([[cosine, math.sqrt(1 - cosine**2)]]) for cosine in (0.1, 0.9, 0.4)] + [torch.zeros(0, 2)]
    assert score_at_random(queries, LevelBags({"frame": TokenBags.from_bags(bags)})) == pytest.approx(0.4, abs=1e-3)
    assert score_at_random(queries, LevelBags({"frame": TokenBags.from_bags(bags[3:])})) is None
