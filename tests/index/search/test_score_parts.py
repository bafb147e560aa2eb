from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.index.made_tokens import make_levels, make_queries, scores_by_loops
from video_colbert.index.search.level_bags import TokensInMemory
from video_colbert.index.search.prepared_tokens import PreparedTokens
from video_colbert.index.search.score_parts import score_parts
from video_colbert.index.search.scoring import BoundedScores

WIDTH, VIDEOS = 32, 60
ROWS = torch.tensor([7, 0, 59, 31])


@pytest.mark.parametrize("are_held", [True, False])
@pytest.mark.parametrize("ragged", [True, False])
def test_parts_sum_up_to_the_score_within_their_errors(are_held: bool, ragged: bool) -> None:
    bags = make_levels(VIDEOS, WIDTH, ragged=ragged)
    query = dataclasses.replace(make_queries(1, WIDTH), level_weights={"frame": 1.0, "video": 0.5})
    tokens = PreparedTokens(TokensInMemory(bags), torch.device("cpu"), holds_bags=True)
    if are_held:
        tokens.scorer()
    parts = score_parts(query, tokens, VIDEOS)
    assert len(parts) == (2 if are_held else 1)
    found = BoundedScores.sum([part(ROWS) for part in parts])
    exact = scores_by_loops(query, bags)[:, ROWS]
    finite = exact.isfinite()
    assert torch.equal(found.scores.isfinite(), finite)
    assert ((found.scores - exact).abs() <= found.errors + 1e-6)[finite].all()


def test_a_level_without_weight_is_no_part() -> None:
    query = dataclasses.replace(make_queries(1, WIDTH), level_weights={"frame": 1.0, "video": 0.0})
    tokens = PreparedTokens(TokensInMemory(make_levels(VIDEOS, WIDTH)), torch.device("cpu"), holds_bags=True)
    tokens.scorer()
    assert len(score_parts(query, tokens, VIDEOS)) == 1
