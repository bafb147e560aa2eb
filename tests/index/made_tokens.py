from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.index.search.level_bags import LevelBags
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


def make_levels(number: int, width: int, *, ragged: bool = False, seed: int = 0) -> LevelBags:
    lengths = [1 + (7 * row) % 9 if ragged else 5 for row in range(number)]
    centres = make_bags(lengths, width, seed)
    # The video level is near the frame level, as it is in a trained model.
    generator = torch.Generator().manual_seed(seed + 1)
    moved = [
        F.normalize(centres.bag(row).float() + 0.5 * unit_vectors(generator, length, width), dim=-1)
        for row, length in enumerate(lengths)
    ]
    return LevelBags({"frame": centres, "video": TokenBags.from_bags(moved)})


def make_queries(
    number: int,
    width: int,
    *,
    near: LevelBags | None = None,
    tokens: int = 6,
    levels: tuple[str, ...] = ("frame", "video"),
    seed: int = 9,
) -> EncodedQueries:
    """Queries of which the first counts three tokens only; `near` puts query i near the frames of video i."""
    generator = torch.Generator().manual_seed(seed)
    embeds = unit_vectors(generator, number, tokens, width)
    if near is not None:
        means = torch.stack([near["frame"].bag(row).float().mean(dim=0) for row in range(number)])
        embeds = F.normalize(F.normalize(means, dim=-1)[:, None] + embeds, dim=-1)
    mask = torch.ones(number, tokens, dtype=torch.bool)
    mask[0, 3:] = False
    words = [[QueryWord("red", [1]), QueryWord("circle", [2, 3])]] * number
    texts = [f"query {row}" for row in range(number)]
    return EncodedQueries.of_one_encoder(
        texts, QueryBags(embeds, mask, words), ("frame", "video"), level_weights=dict.fromkeys(levels, 1.0)
    )


def make_three_levels(number: int, *, seed: int = 0) -> LevelBags:
    """Levels of 24, 24 and 10 dimensions; every fourth video has no tokens on the third."""
    speech = make_bags([0 if row % 4 == 3 else 2 + row % 5 for row in range(number)], 10, seed + 2)
    return LevelBags({**make_levels(number, 24, ragged=True, seed=seed), "speech": speech})


def make_three_level_queries(number: int, bags: LevelBags, *, weights: dict[str, float]) -> EncodedQueries:
    """Queries near the first videos, of 6 tokens for frame and video and of 4 others for speech, masks apart."""
    of_video = make_queries(number, 24, near=bags)
    generator = torch.Generator().manual_seed(17)
    speech = unit_vectors(generator, number, 4, 10)
    mask = torch.arange(4) < torch.tensor([1 + row % 4 for row in range(number)])[:, None]
    return EncodedQueries(
        texts=of_video.texts,
        bags={**of_video.bags, "text_model": QueryBags(speech, mask, [[]] * number)},
        encoder_of_level={**of_video.encoder_of_level, "speech": "text_model"},
        level_weights={"frame": 1.0, "video": 1.0, "speech": 1.0},
    ).with_level_weights(weights)


def level_score_by_loops(query: Tensor, mask: Tensor, bag: Tensor) -> float:
    """MeanMaxSim in float64, one inner product after another."""
    maxima = [
        max(float(token.double() @ other.double()) for other in bag)
        for token, counts in zip(query, mask, strict=True)
        if counts
    ]
    return sum(maxima) / len(maxima)


def scores_by_loops(queries: EncodedQueries, bags: LevelBags) -> Tensor:
    """Weighted sums of MeanMaxSim over the levels on which a video has tokens, [Nq, N] in float64."""
    scores = torch.zeros(len(queries.texts), bags.num_videos, dtype=torch.float64)
    for level, weight in queries.level_weights.items():
        of_level = queries.bags_of(level)
        for query in range(len(queries.texts)):
            for row in range(bags.num_videos):
                if weight and len(bags[level].bag(row)):
                    score = level_score_by_loops(of_level.embeds[query], of_level.mask[query], bags[level].bag(row))
                    scores[query, row] += weight * score
    return scores
