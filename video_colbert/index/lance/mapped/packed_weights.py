"""Weights of tokens among the bytes of the tokens, since what is mapped into memory holds tokens only."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.token_bags import TokenBags

# A weight is the last four bytes of its token.
_WEIGHT_BYTES = 4


def pack_weights(bags: LevelBags) -> LevelBags:
    """Stored bags with the weights of their tokens among the tokens' bytes; those without weights stay."""
    return LevelBags({level: _packed(of_level) for level, of_level in bags.items()})


def unpack_weights(packed: LevelBags, like: Mapping[str, Tensor]) -> LevelBags:
    """The bags that `pack_weights` was given.

    Args:
        packed: what it gave.
        like: by level with weights, tokens of the stored type.
    """
    return LevelBags(
        {
            level: _unpacked(of_level, like[level].dtype) if level in like else of_level
            for level, of_level in packed.items()
        }
    )


def _packed(bags: TokenBags) -> TokenBags:
    if bags.weights is None:
        return bags
    parts = [bags.tokens.contiguous().view(torch.uint8), bags.weights[:, None].contiguous().view(torch.uint8)]
    return TokenBags(torch.cat(parts, dim=1), bags.offsets)


def _unpacked(bags: TokenBags, dtype: torch.dtype) -> TokenBags:
    tokens = bags.tokens[:, :-_WEIGHT_BYTES].contiguous().view(dtype)
    weights = bags.tokens[:, -_WEIGHT_BYTES:].contiguous().view(torch.float32)[:, 0]
    return TokenBags(tokens, bags.offsets, weights)
