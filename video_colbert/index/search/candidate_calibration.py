"""How candidates are found and how many a recall takes, measured on the index itself.

The order of videos by pooled vectors, by tokens in few dimensions or by score vectors is not the exact one. For
queries whose exact best videos are known, the ranks of those videos in that order say how many candidates hold them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.index.search.level_bags import LevelBags

# How many times faster a search by pooled vectors must be.
_WORTH_POOLING = 1.5
# One-sided 95 % of the normal distribution.
_CONFIDENCE = 1.645
# Length of what is added to a token of unit length to make a query token of it.
_DISTURBANCE = 3.0


def count_candidates(ranks: Tensor, recall_target: float) -> tuple[int, float]:
    """The smallest number of candidates that holds the best videos with the recall asked for.

    Recall is a mean over queries, which are few, so its lower confidence limit (one-sided 95 %, normal
    approximation) must reach the target.

    Args:
        ranks: int64 [Nq, k], the rank, from 0, of each of a query's exact best videos in the order of candidates.
        recall_target: above 0, at most 1.

    Returns:
        The number of candidates and the recall that it has on these queries.
    """
    for count in torch.unique(ranks).add_(1).tolist():
        recalls = (ranks < count).double().mean(dim=1)
        spread = float(recalls.std(correction=1)) if len(recalls) > 1 else 0.0
        if float(recalls.mean()) - _CONFIDENCE * spread / math.sqrt(len(recalls)) >= recall_target:
            return int(count), float(recalls.mean())
    return int(ranks.max()) + 1, 1.0


def ranks_of(rows: Tensor, scores: Tensor) -> Tensor:
    """The rank of given rows in the order of scores, best first.

    Args:
        rows: int64 [Nq, k].
        scores: float32 [Nq, N].

    Returns:
        int64 [Nq, k], from 0.
    """
    own = scores.gather(1, rows)
    return torch.stack([(scores > own[:, [hit]]).sum(dim=1) for hit in range(rows.shape[1])], dim=1)


def preferred_method(seconds: Mapping[str, float]) -> str:
    """The method to keep: pooled vectors if a search with them is at least 1.5 times faster, else reduced tokens.

    How many candidates pooled vectors need depends more on how users' queries differ from those measured.

    Args:
        seconds: of a search by method.
    """
    return "pooled" if _WORTH_POOLING * seconds["pooled"] <= seconds["reduced"] else "reduced"


def levels_of_one_width(dimensions: Mapping[str, int]) -> dict[str, str]:
    """An encoder for each level where none is known: levels of one dimension are compared with the same queries."""
    return {level: f"width {dimension}" for level, dimension in dimensions.items()}


def make_queries(
    bags: LevelBags, encoder_of_level: Mapping[str, str], *, length: int, seed: int = 0
) -> EncodedQueries:
    """Makes a query of each video: tokens drawn from its levels, disturbed by differences of other videos' tokens.

    A text is far from any frame, though it lies among the directions in which videos differ: the disturbance has
    three times the length of the token. On a model trained on moving shapes, the pooled vectors needed 2,118
    candidates of 5,300 for such queries, 2,669 for captions, and 740 with a disturbance as long as the token.

    Args:
        bags: of Nq videos, at least 2.
        encoder_of_level: for each level to score, the encoder whose queries it is compared with. The tokens of a
            query are drawn from all levels of its encoder; a video without tokens there gives a query without.
        length: tokens of each query.
        seed: of what is drawn.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(tokens: Tensor) -> Tensor:
        return tokens[torch.randint(len(tokens), (length,), generator=generator)]

    made = {}
    for encoder in dict.fromkeys(encoder_of_level.values()):
        levels = [bags[level] for level, of_level in encoder_of_level.items() if of_level == encoder]
        every = torch.cat([of_level.tokens for of_level in levels]).float()
        embeds = torch.zeros(bags.num_videos, length, levels[0].dimension)
        mask = torch.zeros(embeds.shape[:2], dtype=torch.bool)
        for row in range(bags.num_videos):
            own = torch.cat([of_level.bag(row) for of_level in levels]).float()
            if len(own):
                drawn = F.normalize(draw(own), dim=1)
                difference = F.normalize(draw(every) - draw(every), dim=1)
                embeds[row] = F.normalize(drawn + _DISTURBANCE * difference, dim=1)
                mask[row] = True
        made[encoder] = QueryBags(embeds, mask, [[]] * bags.num_videos)
    return EncodedQueries(
        texts=[""] * bags.num_videos,
        bags=made,
        encoder_of_level=encoder_of_level,
        level_weights=dict.fromkeys(encoder_of_level, 1.0),
    )
