"""Pooled vectors: one vector a video, by which candidates for exact scoring are found.

The mean of a bag's tokens, at unit length, stands for the bag; frame and video level lie side by side. The inner
product with a query's mean tokens orders videos about as the two-level score does, at a twenty-sixth of the work.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.scoring import weights_of_levels
from video_colbert.index.search.token_bags import TokenBags

# Numbers of pooled vectors that are brought to the queries' type at once.
_BLOCK_NUMBERS = 2**22


@torch.inference_mode()
def pool_bags(frames: TokenBags, videos: TokenBags | None) -> Tensor:
    """Pools the bags of videos.

    Args:
        frames: N bags of frame tokens.
        videos: N bags of video tokens; None for a model without the video level.

    Returns:
        float16 [N, P] means of unit length, of the frame level and, behind it, of the video level; P is D for
        one level and 2 D for two. A bag without tokens gives zeros.
    """
    levels = [frames] if videos is None else [frames, videos]
    return torch.cat([_means(bags) for bags in levels], dim=1)


@torch.inference_mode()
def pool_queries(queries: EncodedQueries, *, levels: int, level_weights: Mapping[str, float] | None = None) -> Tensor:
    """Pools the tokens of queries so that they can be compared with pooled videos.

    Args:
        queries: Nq encoded queries.
        levels: levels in the pooled vectors of the videos, 1 or 2.
        level_weights: weight of each level; 1 where none is given.

    Returns:
        float32 [Nq, levels * D] on the CPU: the mean token, at unit length, times the weight of each level; zeros
        for a level that the model does not score by.

    Raises:
        ValueError: `level_weights` does not fit the model.
    """
    mask = queries.query_mask.to(queries.query_embeds.dtype)[:, :, None]
    means = F.normalize((queries.query_embeds * mask).sum(dim=1).float(), dim=-1).cpu()
    weights = weights_of_levels(queries, level_weights)
    return torch.cat([weights.get(level, 0.0) * means for level in ("frame", "video")[:levels]], dim=1)


@torch.inference_mode()
def pooled_scores(pooled_queries: Tensor, pooled: Tensor) -> Tensor:
    """Inner products of pooled queries and pooled videos.

    Args:
        pooled_queries: float32 [Nq, P].
        pooled: float16 [N, P].

    Returns:
        float32 [Nq, N].
    """
    if len(pooled_queries) == 1:
        # One product of a float16 matrix and a vector reads each number once, and torch sums it in float32.
        return (pooled @ pooled_queries[0].half()).float()[None]
    block = max(1, _BLOCK_NUMBERS // pooled.shape[1])
    return torch.cat([pooled_queries @ part.float().T for part in torch.split(pooled, block)], dim=1)


def _means(bags: TokenBags) -> Tensor:
    lengths = bags.lengths
    sums = torch.zeros(len(bags), bags.tokens.shape[1])
    bag_of_token = torch.arange(len(bags)).repeat_interleave(lengths)
    block = max(1, _BLOCK_NUMBERS // bags.tokens.shape[1])
    for rows, tokens in zip(torch.split(bag_of_token, block), torch.split(bags.tokens, block), strict=True):
        sums.index_add_(0, rows, tokens.float())
    return F.normalize(sums, dim=1).half()
