from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.token_bags import TokenBags
from video_colbert.processing import QueryWord


def unit_vectors(generator: torch.Generator, *shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def make_bags(lengths: list[int], width: int, seed: int = 0) -> TokenBags:
    """Bags whose tokens lie around a centre of their own, as the frames of a video do."""
    generator = torch.Generator().manual_seed(seed)
    bags = [
        F.normalize(unit_vectors(generator, 1, width) + 0.7 * unit_vectors(generator, length, width), dim=-1)
        for length in lengths
    ]
    return TokenBags.from_bags(bags)


def make_levels(number: int, width: int, *, ragged: bool = False, seed: int = 0) -> tuple[TokenBags, TokenBags]:
    lengths = [1 + (7 * row) % 9 if ragged else 5 for row in range(number)]
    centres = make_bags(lengths, width, seed)
    # The video level is near the frame level, as it is in a trained model.
    generator = torch.Generator().manual_seed(seed + 1)
    moved = [
        F.normalize(centres.bag(row).float() + 0.5 * unit_vectors(generator, length, width), dim=-1)
        for row, length in enumerate(lengths)
    ]
    return centres, TokenBags.from_bags(moved)


def make_queries(
    number: int,
    width: int,
    *,
    near: TokenBags | None = None,
    tokens: int = 6,
    levels: tuple[str, ...] = ("frame", "video"),
    seed: int = 9,
) -> EncodedQueries:
    """Queries of which the first counts three tokens only; `near` puts query i near bag i."""
    generator = torch.Generator().manual_seed(seed)
    embeds = unit_vectors(generator, number, tokens, width)
    if near is not None:
        means = torch.stack([near.bag(row).float().mean(dim=0) for row in range(number)])
        embeds = F.normalize(F.normalize(means, dim=-1)[:, None] + embeds, dim=-1)
    mask = torch.ones(number, tokens, dtype=torch.bool)
    mask[0, 3:] = False
    return EncodedQueries(
        texts=[f"query {row}" for row in range(number)],
        query_embeds=embeds,
        query_mask=mask,
        words=[[QueryWord("red", [1]), QueryWord("circle", [2, 3])]] * number,
        score_levels=levels,
        truncated=[],
    )


def level_score_by_loops(query: Tensor, mask: Tensor, bag: Tensor) -> float:
    """MeanMaxSim in float64, one inner product after another."""
    maxima = [
        max(float(token.double() @ other.double()) for other in bag)
        for token, counts in zip(query, mask, strict=True)
        if counts
    ]
    return sum(maxima) / len(maxima)


def scores_by_loops(
    queries: EncodedQueries, frames: TokenBags, videos: TokenBags | None, weights: tuple[float, float] = (1.0, 1.0)
) -> Tensor:
    """Two-level scores [Nq, N] in float64."""
    rows = []
    for query, mask in zip(queries.query_embeds, queries.query_mask, strict=True):
        scores = []
        for row in range(len(frames)):
            score = weights[0] * level_score_by_loops(query, mask, frames.bag(row))
            if videos is not None:
                score += weights[1] * level_score_by_loops(query, mask, videos.bag(row))
            scores.append(score)
        rows.append(scores)
    return torch.tensor(rows, dtype=torch.float64)
