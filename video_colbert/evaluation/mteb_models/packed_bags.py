"""Token bags of queries and videos as one tensor each, the form in which mteb passes embeddings around.

Of a row of a bag `[N, D + 2]`, the first D numbers are the token, the next its weight in the score, and the last its
kind: 0 for padding, 1 for a query's token, and from 2 on the levels of a video, in the order of `levels`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, QueryBags
from video_colbert.encoding.level_scores import PaddedLevel, level_scores
from video_colbert.modeling_video_colbert import VideoColBERTConfig

_PADDING, _QUERY, _FIRST_LEVEL = 0, 1, 2
# Below any score of unit vectors, and finite, since mteb computes with scores.
_NO_TOKENS_SCORE = -1e6
_VIDEOS_TOGETHER = 256


def pack_queries(queries: EncodedQueries) -> Tensor:
    """Packs encoded queries.

    Args:
        queries: Nq of them, of one encoder.

    Returns:
        float32 `[Nq, Lq, D + 2]`, on the CPU.
    """
    [bags] = queries.bags.values()
    mask = bags.mask.to(bags.embeds.dtype)
    weights = mask if bags.token_weights is None else bags.token_weights
    packed = torch.cat([bags.embeds, weights[..., None], mask[..., None] * _QUERY], dim=-1)
    return packed.masked_fill(~bags.mask[..., None], 0.0).cpu()


def pack_videos(videos: Sequence[EncodedVideo | None], levels: Sequence[str], dimension: int) -> Tensor:
    """Packs encoded videos.

    Args:
        videos: Nv of them; None for one that has no tokens, which scores below all others.
        levels: those of the model.
        dimension: D.

    Returns:
        float32 `[Nv, N, D + 2]`.
    """
    return pad_sequence([_packed(video, levels, dimension) for video in videos], batch_first=True)


def _packed(video: EncodedVideo | None, levels: Sequence[str], dimension: int) -> Tensor:
    parts = [torch.zeros(1, dimension + 2)]
    for kind, level in enumerate(levels, start=_FIRST_LEVEL):
        if video is not None and level in video.embeds:
            tokens = video.embeds[level]
            weights = video.token_weights.get(level, torch.ones(len(tokens)))
            parts.append(torch.cat([tokens, weights[:, None], torch.full((len(tokens), 1), float(kind))], dim=-1))
    # The one row of zeros holds the place of a video without any token.
    return torch.cat(parts[1:] or parts)


def packed_scores(
    config: VideoColBERTConfig, first: Tensor, second: Tensor, device: torch.device | str = "cpu"
) -> Tensor:
    """Scores packed queries against packed videos, whichever side either is on.

    Args:
        config: of the model that made them.
        first: `[A, N, D + 2]`.
        second: `[B, M, D + 2]`.
        device: where they are compared.

    Returns:
        float32 `[A, B]` on the CPU, the model's scores; a video without tokens scores below all others.

    Raises:
        ValueError: both are queries, or both are videos.
    """
    first_asks, second_asks = _are_queries(first), _are_queries(second)
    if first_asks == second_asks:
        kind = "queries" if first_asks else "videos"
        raise ValueError(f"both sides are {kind}; this model scores a text against a video")
    if second_asks:
        return packed_scores(config, second, first, device).T
    queries = _unpacked_queries(config, first.to(device))
    parts = []
    for start in range(0, len(second), _VIDEOS_TOGETHER):
        part = second[start : start + _VIDEOS_TOGETHER]
        kinds = part[..., -1]
        weights = part[..., -2] if _has_weights(config) else None
        levels = {
            level: PaddedLevel(part[..., :-2], kinds == kind, weights)
            for kind, level in enumerate(config.levels, start=_FIRST_LEVEL)
        }
        parts.append(level_scores(queries, levels)["sum"].cpu())
    return torch.cat(parts, dim=1).clamp(min=_NO_TOKENS_SCORE)


def _has_weights(config: VideoColBERTConfig) -> bool:
    return config.interaction == "weighted_token_wise" or config.weighs_by_attention


def _are_queries(bags: Tensor) -> bool:
    return bool((bags[..., -1] == _QUERY).any())


def _unpacked_queries(config: VideoColBERTConfig, packed: Tensor) -> EncodedQueries:
    weights = packed[..., -2] if _has_weights(config) else None
    bags = QueryBags(packed[..., :-2], packed[..., -1] != _PADDING, [()] * len(packed), weights)
    return EncodedQueries.of_one_encoder(
        [""] * len(packed),
        bags,
        config.levels,
        level_weights=config.weights_of_levels,
        interaction=config.interaction,
        level_scoring=config.level_scoring,
    )
