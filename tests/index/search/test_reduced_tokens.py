from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.index.made_tokens import make_levels, make_queries, scores_by_loops
from video_colbert.index.search.reduced_tokens import ReducedTokens, principal_directions
from video_colbert.index.search.token_bags import TokenBags

WIDTH = 64
CPU = torch.device("cpu")


def in_a_subspace(bags: TokenBags, rank: int) -> TokenBags:
    """Bags that fill `rank` random directions only."""
    generator = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(torch.randn(WIDTH, rank, generator=generator)).Q
    return TokenBags(F.normalize(bags.tokens.float() @ basis @ basis.T, dim=1).half(), bags.offsets)


def test_directions_are_orthonormal_and_hold_tokens_that_fill_no_more() -> None:
    frames, videos = (in_a_subspace(level, 16) for level in make_levels(60, WIDTH))
    directions = principal_directions(frames, videos)
    assert directions.shape == (WIDTH, 16)
    assert (directions.T @ directions).numpy() == pytest.approx(torch.eye(16).numpy(), abs=1e-5)
    tokens = frames.tokens.float()
    assert (tokens @ directions @ directions.T).numpy() == pytest.approx(tokens.numpy(), abs=2e-3)
    assert principal_directions(*make_levels(30, 8)).shape == (8, 8)
    assert principal_directions(make_levels(30, 512)[0], None).shape == (512, 128)


def test_scores_of_tokens_that_fill_few_dimensions_are_nearly_exact() -> None:
    frames, videos = (in_a_subspace(level, 12) for level in make_levels(40, WIDTH, ragged=True))
    queries = make_queries(3, WIDTH, near=frames)
    reduced = ReducedTokens.of(principal_directions(frames, videos), frames, videos, CPU)
    assert reduced.scores(queries).numpy() == pytest.approx(scores_by_loops(queries, frames, videos).numpy(), abs=0.01)
    by_frames = dataclasses.replace(queries, score_levels=("frame",))
    assert reduced.scores(by_frames, rows=torch.tensor([7, 2])).numpy() == pytest.approx(
        scores_by_loops(queries, frames, None)[:, [7, 2]].numpy(), abs=0.01
    )


def test_parts_score_as_one() -> None:
    frames, videos = make_levels(40, WIDTH, ragged=True)
    queries = make_queries(2, WIDTH)
    directions = principal_directions(frames, videos)
    parts = [
        ReducedTokens.of(directions, frames.part(*bounds), videos.part(*bounds), CPU) for bounds in ((0, 9), (9, 40))
    ]
    joined, whole = ReducedTokens.concatenate(parts), ReducedTokens.of(directions, frames, videos, CPU)
    assert joined.num_bytes == whole.num_bytes
    assert joined.scores(queries).numpy() == pytest.approx(whole.scores(queries).numpy(), abs=1e-6)
