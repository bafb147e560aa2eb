from __future__ import annotations

import pytest
import torch

from tests.index.made_tokens import make_levels, make_three_levels
from video_colbert.index.search.calibration import Calibration
from video_colbert.index.search.candidate_calibration import (
    count_candidates,
    levels_of_one_width,
    make_queries,
    preferred_method,
)


def test_count_is_the_smallest_that_holds_the_target_with_confidence() -> None:
    # 100 queries of 10: all best videos are among the first 10, but for one of each fourth query.
    ranks = torch.arange(10).repeat(100, 1)
    ranks[::4, 9] = 30
    # At 10 candidates the recall is .975 with a standard deviation of .0435 a query.
    assert count_candidates(ranks, 0.96) == (10, pytest.approx(0.975))
    assert count_candidates(ranks, 0.97) == (31, 1.0)
    assert count_candidates(ranks, 1.0) == (31, 1.0)


def test_candidates_grow_with_hits_and_videos_and_never_shrink() -> None:
    found = Calibration("pooled", 0.99, 1.0, 10, 200, 64, real_queries=False, num_videos=1000)
    assert found.candidates_for(10, 1000) == 200
    assert found.candidates_for(1, 900) == 200
    assert found.candidates_for(25, 1000) == 500
    assert found.candidates_for(10, 2500) == 500
    assert found.candidates_for(100, 1500) == 1500


def test_made_queries_resemble_the_videos_they_are_made_of() -> None:
    bags = make_levels(8, 64)
    encoders = {"frame": "video_model", "video": "video_model"}
    queries = make_queries(bags, encoders, length=16)
    made = queries.bags_of("frame").embeds
    assert tuple(made.shape) == (8, 16, 64)
    assert queries.level_weights == {"frame": 1.0, "video": 1.0}
    assert made.norm(dim=-1).numpy() == pytest.approx(1.0, abs=1e-5)
    again = make_queries(bags, encoders, length=16)
    assert torch.equal(made, again.bags_of("video").embeds)
    for row in range(0, 8, 2):
        nearest = [float((made[row] @ bags["frame"].bag(other).float().T).amax(1).mean()) for other in range(8)]
        assert nearest.index(max(nearest)) == row


def test_made_queries_have_tokens_for_each_encoder_and_none_where_a_video_has_none() -> None:
    bags = make_three_levels(8)
    queries = make_queries(bags, levels_of_one_width(bags.dimensions), length=16)
    assert queries.bags_of("frame") is queries.bags_of("video")
    assert tuple(queries.bags_of("speech").embeds.shape) == (8, 16, 10)
    assert queries.bags_of("speech").mask.any(dim=1).tolist() == [True, True, True, False] * 2


@pytest.mark.parametrize(("pooled_seconds", "kept"), [(0.6, "pooled"), (0.9, "reduced"), (2.0, "reduced")])
def test_pooled_vectors_are_kept_if_they_are_clearly_faster(pooled_seconds: float, kept: str) -> None:
    assert preferred_method({"pooled": pooled_seconds, "reduced": 1.0}) == kept
