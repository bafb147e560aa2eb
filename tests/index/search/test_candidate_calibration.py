from __future__ import annotations

import pytest
import torch

from tests.index.made_tokens import make_levels
from video_colbert.index.search.candidate_calibration import Calibration, count_candidates, make_queries


def test_count_is_the_smallest_that_holds_the_target_with_confidence() -> None:
    # 100 queries of 10: all best videos are among the first 10, but for one of each fourth query.
    places = torch.arange(10).repeat(100, 1)
    places[::4, 9] = 30
    # At 10 candidates the recall is .975 with a standard deviation of .0435 a query.
    assert count_candidates(places, 0.96) == (10, pytest.approx(0.975))
    assert count_candidates(places, 0.97) == (31, 1.0)
    assert count_candidates(places, 1.0) == (31, 1.0)


def test_candidates_grow_with_hits_and_videos_and_never_shrink() -> None:
    found = Calibration("pooled", 0.99, 1.0, 10, 200, 64, real_queries=False, num_videos=1000)
    assert found.candidates_for(10, 1000) == 200
    assert found.candidates_for(1, 900) == 200
    assert found.candidates_for(25, 1000) == 500
    assert found.candidates_for(10, 2500) == 500
    assert found.candidates_for(100, 1500) == 1500


def test_made_queries_resemble_the_videos_they_are_made_of() -> None:
    frames, videos = make_levels(8, 64)
    queries = make_queries(frames, videos, ("frame", "video"), length=16)
    assert tuple(queries.query_embeds.shape) == (8, 16, 64)
    assert queries.query_embeds.norm(dim=-1).numpy() == pytest.approx(1.0, abs=1e-5)
    again = make_queries(frames, videos, ("frame", "video"), length=16)
    assert torch.equal(queries.query_embeds, again.query_embeds)
    for row in range(0, 8, 2):
        nearest = [
            float((queries.query_embeds[row] @ frames.bag(other).float().T).amax(1).mean()) for other in range(8)
        ]
        assert nearest.index(max(nearest)) == row
