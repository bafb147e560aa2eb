from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.index.made_tokens import make_bags, make_levels, make_queries
from video_colbert.index.search import candidates
from video_colbert.index.search.candidates import pool_bags, pool_queries, pooled_scores

WIDTH = 24


def test_pools_are_unit_means_of_both_levels_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_BLOCK_NUMBERS", 10 * WIDTH)
    frames, videos = make_levels(9, WIDTH, ragged=True)
    pooled = pool_bags(frames, videos)
    assert (pooled.dtype, tuple(pooled.shape)) == (torch.float16, (9, 2 * WIDTH))
    for row in range(9):
        for bags, part in ((frames, pooled[row, :WIDTH]), (videos, pooled[row, WIDTH:])):
            expected = F.normalize(bags.bag(row).double().mean(dim=0), dim=0)
            assert part.double().numpy() == pytest.approx(expected.numpy(), abs=1e-3)


def test_a_bag_without_tokens_pools_to_zeros() -> None:
    assert pool_bags(make_bags([2, 0], WIDTH), None)[1].abs().sum() == 0


def test_pooled_queries_average_the_tokens_that_count_and_carry_the_weights() -> None:
    queries = make_queries(2, WIDTH)
    pooled = pool_queries(queries, levels=2, level_weights={"video": 3.0})
    mean = F.normalize(queries.query_embeds[0, :3].mean(dim=0), dim=0)
    assert pooled[0].numpy() == pytest.approx(torch.cat([mean, 3 * mean]).numpy(), abs=1e-6)
    by_frames = pool_queries(make_queries(2, WIDTH, levels=("frame",)), levels=2)
    assert by_frames[0].numpy() == pytest.approx(torch.cat([mean, 0 * mean]).numpy(), abs=1e-6)


def test_pooled_scores_are_inner_products_for_one_query_and_for_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_BLOCK_NUMBERS", 7 * 2 * WIDTH)
    pooled = pool_bags(*make_levels(30, WIDTH))
    queries = pool_queries(make_queries(3, WIDTH), levels=2)
    expected = (queries.double() @ pooled.double().T).numpy()
    assert pooled_scores(queries, pooled).numpy() == pytest.approx(expected, abs=1e-5)
    assert pooled_scores(queries[:1], pooled).numpy() == pytest.approx(expected[:1], abs=3e-3)
