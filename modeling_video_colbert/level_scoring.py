"""How the levels of a video make one score: by their sum, by the best token of all, or by the best level.

The last two are those of CLaMR (arXiv 2506.06144), `token_max` and `modality_max`, both divided by the number of query
tokens. A video may have no tokens on a level, where its score is minus infinity: it has no part in any of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .late_interaction import mean_max_sim


def sum_of_levels(scores: Sequence[Tensor]) -> Tensor:
    """Sums `[Nq, Nv]` scores of at least one level, leaving out levels without tokens; `-inf` where all are."""
    stacked = torch.stack(list(scores))
    missing = stacked.isneginf()
    return stacked.masked_fill(missing, 0.0).sum(0).masked_fill(missing.all(0), float("-inf"))


def best_level(scores: Sequence[Tensor]) -> Tensor:
    """Takes the best of the `[Nq, Nv]` scores of at least one level, for each query and video on its own."""
    best: Tensor = torch.stack(list(scores)).max(0).values
    return best


def best_token(query_embeds: Tensor, query_mask: Tensor | None, levels: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Scores queries by the mean over their tokens of the maximum over the tokens of all levels.

    Args:
        query_embeds: `[Nq, Lq, D]` query tokens.
        query_mask: `[Nq, Lq]`, true on the tokens that count. `None` counts all.
        levels: Of at least one level, `[Nv, N, D]` tokens and their `[Nv, N]` mask.

    Returns:
        `[Nq, Nv]` scores.
    """
    embeds, masks = zip(*levels, strict=True)
    return mean_max_sim(query_embeds, torch.cat(embeds, dim=1), query_mask, torch.cat(masks, dim=1))


__all__ = ["best_level", "best_token", "sum_of_levels"]
