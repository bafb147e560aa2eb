from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.index.made_tokens import (
    make_levels,
    make_queries,
    make_three_level_queries,
    make_three_levels,
    scores_by_loops,
)
from video_colbert.index.search.candidates import PooledVectors, ReducedTokens, pool_queries, principal_directions
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.number_formats import number_format
from video_colbert.index.search.token_bags import TokenBags

WIDTH = 64
CPU = torch.device("cpu")


def in_a_subspace(bags: LevelBags, rank: int) -> LevelBags:
    """Bags that fill `rank` random directions only."""
    generator = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(torch.randn(WIDTH, rank, generator=generator)).Q
    return LevelBags(
        {
            level: TokenBags(F.normalize(of_level.tokens.float() @ basis @ basis.T, dim=1).half(), of_level.offsets)
            for level, of_level in bags.items()
        }
    )


def test_pooled_queries_average_the_tokens_that_count_and_carry_the_weights() -> None:
    queries = make_queries(2, WIDTH).with_level_weights({"video": 3.0})
    dimensions = {"frame": WIDTH, "video": WIDTH}
    pooled = pool_queries(queries, dimensions)
    mean = F.normalize(queries.bags_of("frame").embeds[0, :3].mean(dim=0), dim=0)
    assert pooled[0].numpy() == pytest.approx(torch.cat([mean, 3 * mean]).numpy(), abs=1e-6)
    by_frames = pool_queries(make_queries(2, WIDTH, levels=("frame",)), dimensions)
    assert by_frames[0].numpy() == pytest.approx(torch.cat([mean, 0 * mean]).numpy(), abs=1e-6)


@pytest.mark.parametrize(("name", "error"), [("int8", 0.02), ("float32", 3e-3)])
def test_scores_of_pooled_vectors_are_inner_products_for_one_query_and_for_several(
    monkeypatch: pytest.MonkeyPatch, name: str, error: float
) -> None:
    monkeypatch.setattr("video_colbert.index.search.candidates.fastest_format", lambda device: number_format(name))
    # More numbers than are brought to another type at once, so that the last videos are in another block.
    pooled = make_levels(70, WIDTH).pooled().repeat(1000, 1)
    queries = pool_queries(make_queries(3, WIDTH), {"frame": WIDTH, "video": WIDTH})
    expected = (queries.double() @ pooled.double().T).numpy()
    assert pooled.numel() > 2 * 2**22
    vectors = PooledVectors(pooled)
    assert vectors.scores(queries).numpy() == pytest.approx(expected, abs=error)
    assert vectors.scores(queries[:1]).numpy() == pytest.approx(expected[:1], abs=error)
    rows = torch.tensor([69_999, 3, 40_000])
    assert vectors.scores(queries, rows=rows).numpy() == pytest.approx(expected[:, rows], abs=error)


def test_directions_are_orthonormal_and_hold_tokens_that_fill_no_more() -> None:
    bags = in_a_subspace(make_levels(60, WIDTH), 16)
    for level, directions in principal_directions(bags).items():
        assert directions.shape == (WIDTH, 16)
        assert (directions.T @ directions).numpy() == pytest.approx(torch.eye(16).numpy(), abs=1e-5)
        tokens = bags[level].tokens.float()
        assert (tokens @ directions @ directions.T).numpy() == pytest.approx(tokens.numpy(), abs=2e-3)
    assert principal_directions(make_levels(30, 8))["frame"].shape == (8, 8)
    assert principal_directions(make_levels(30, 512))["video"].shape == (512, 128)


def test_reduced_scores_of_tokens_that_fill_few_dimensions_are_nearly_exact() -> None:
    bags = in_a_subspace(make_levels(40, WIDTH, ragged=True), 12)
    queries = make_queries(3, WIDTH, near=bags)
    reduced = ReducedTokens.of(principal_directions(bags), bags, CPU)
    assert reduced.scores(queries).numpy() == pytest.approx(scores_by_loops(queries, bags).numpy(), abs=0.01)
    by_frames = make_queries(3, WIDTH, near=bags, levels=("frame",))
    assert reduced.scores(by_frames, rows=torch.tensor([7, 2])).numpy() == pytest.approx(
        scores_by_loops(by_frames, bags)[:, [7, 2]].numpy(), abs=0.01
    )


def test_reduced_scores_of_levels_of_different_dimensions_are_nearly_exact() -> None:
    # A quarter of so few dimensions would be less than 16; the tokens of 24 fill 16 of them.
    bags = make_three_levels(30)
    basis = torch.linalg.qr(torch.randn(24, 16, generator=torch.Generator().manual_seed(3))).Q
    few = {
        level: TokenBags((bags[level].tokens.float() @ basis @ basis.T).half(), bags[level].offsets)
        for level in ("frame", "video")
    }
    bags = LevelBags({**bags, **few})
    queries = make_three_level_queries(3, bags, weights={"speech": 2.0, "video": 0.5})
    reduced = ReducedTokens.of(principal_directions(bags), bags, CPU)
    assert reduced.scores(queries).numpy() == pytest.approx(scores_by_loops(queries, bags).numpy(), abs=0.02)


def test_reduced_parts_score_as_one() -> None:
    bags = make_levels(40, WIDTH, ragged=True)
    queries = make_queries(2, WIDTH)
    directions = principal_directions(bags)
    parts = [ReducedTokens.of(directions, bags.part(*bounds), CPU) for bounds in ((0, 9), (9, 40))]
    joined, whole = ReducedTokens.concatenate(parts), ReducedTokens.of(directions, bags, CPU)
    assert joined.scores(queries).numpy() == pytest.approx(whole.scores(queries).numpy(), abs=1e-6)
