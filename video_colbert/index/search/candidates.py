"""Two fast orders of videos, by which candidates for exact scoring are found: pooled vectors and reduced tokens.

Pooled vectors: the mean of a bag's tokens, at unit length, stands for the bag; the levels lie side by side. The inner
product with a query's mean tokens orders videos about as the sum of MeanMaxSim over the levels does, at a
twenty-sixth of the work.

Reduced tokens: tokens of a trained model fill few of their dimensions. Tokens lose least, in the mean square, if they
are projected on the leading eigenvectors of their second moment (principal component analysis without centring). The
query need not be pooled then: the maximum over each video's tokens is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.number_formats import fastest_format
from video_colbert.index.search.scoring import BoundedScorer
from video_colbert.index.search.token_bags import TokenBags

# Numbers of pooled vectors that are brought to the queries' type at once.
_BLOCK_NUMBERS = 2**22
# A quarter of the dimensions, but no fewer than this.
_SHARE = 4
_FEWEST = 16


@torch.inference_mode()
def pool_queries(queries: EncodedQueries, dimensions: Mapping[str, int]) -> Tensor:
    """Pools the tokens of queries so that they can be compared with pooled videos.

    Args:
        queries: Nq encoded queries.
        dimensions: numbers of a token by level, of the videos, in the order of their levels.

    Returns:
        float32 [Nq, P] on the CPU: for each level the mean token, at unit length, times the level's weight; zeros for
        a level that does not count.
    """
    means = {name: _mean_tokens(bags) for name, bags in queries.bags.items()}
    parts = []
    for level, dimension in dimensions.items():
        if weight := queries.level_weights.get(level, 0.0):
            parts.append(weight * means[queries.encoder_of_level[level]])
        else:
            parts.append(torch.zeros(len(queries.texts), dimension))
    return torch.cat(parts, dim=1)


class PooledVectors:
    """The pooled vectors of all videos, held as int8 where the processor compares those fastest, else as float16.

    Args:
        pooled: float16 [N, P].
    """

    @torch.inference_mode()
    def __init__(self, pooled: Tensor) -> None:
        self._format = fastest_format(torch.device("cpu"))
        self._values, self._scales = pooled, None
        if self._format.name == "int8":
            parts = torch.split(pooled, max(1, _BLOCK_NUMBERS // max(1, pooled.shape[1])))
            scales = [self._format.scales(part) for part in parts]
            values = [self._format.values(part, scale) for part, scale in zip(parts, scales, strict=True)]
            self._values, self._scales = torch.cat(values), torch.cat([scale for scale in scales if scale is not None])

    @torch.inference_mode()
    def scores(self, pooled_queries: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """Inner products of pooled queries and pooled videos, float32 [Nq, n].

        Args:
            pooled_queries: float32 [Nq, P].
            rows: int64 [n] rows to score; None for all.
        """
        values = self._values if rows is None else self._values[rows]
        if self._scales is not None:
            scales = self._scales if rows is None else self._scales[rows]
            of_queries = self._format.scales(pooled_queries)
            assert of_queries is not None  # noqa: S101 - int8 has them
            products = self._format.products(values, self._format.values(pooled_queries, of_queries))
            return (products.float() * scales[:, None] * of_queries).T
        if len(pooled_queries) == 1:
            # One product of a float16 matrix and a vector reads each number once, and torch sums it in float32.
            return (values @ pooled_queries[0].half()).float()[None]
        block = max(1, _BLOCK_NUMBERS // values.shape[1])
        return torch.cat([pooled_queries @ part.float().T for part in torch.split(values, block)], dim=1)


@torch.inference_mode()
def principal_directions(bags: LevelBags) -> dict[str, Tensor]:
    """The directions on which tokens like these are projected.

    Args:
        bags: some thousands of tokens a level.

    Returns:
        By level, float32 [D, R] orthonormal columns; R is a quarter of D, at least 16, at most D.
    """
    directions = {}
    for level, of_level in bags.items():
        tokens, width = of_level.tokens.float(), of_level.dimension
        eigenvectors: Tensor = torch.linalg.eigh(tokens.T @ tokens).eigenvectors
        directions[level] = eigenvectors[:, width - min(width, max(_FEWEST, width // _SHARE)) :].contiguous()
    return directions


class ReducedTokens:
    """The tokens of all videos, projected, in the fast number format.

    Args:
        directions: by level, float32 [D, R] orthonormal columns.
        scorer: holds the projected tokens.
    """

    def __init__(self, directions: Mapping[str, Tensor], scorer: BoundedScorer) -> None:
        self.directions = directions
        self.scorer = scorer

    @classmethod
    @torch.inference_mode()
    def of(cls, directions: Mapping[str, Tensor], bags: LevelBags, device: torch.device) -> ReducedTokens:
        """Projects bags."""
        projected = {
            level: TokenBags(of_level.tokens.float() @ directions[level], of_level.offsets)
            for level, of_level in bags.items()
        }
        return cls(directions, BoundedScorer.of(LevelBags(projected), device=device))

    @classmethod
    def concatenate(cls, parts: Sequence[ReducedTokens]) -> ReducedTokens:
        """The videos of several parts, at least one, with the same directions, one part after another."""
        return cls(parts[0].directions, BoundedScorer.concatenate([part.scorer for part in parts]))

    @torch.inference_mode()
    def scores(self, queries: EncodedQueries, *, rows: Tensor | None = None) -> Tensor:
        """Scores of projected queries and tokens, float32 [Nq, n].

        Args:
            queries: Nq encoded queries.
            rows: int64 rows to score, in this order; None for all.
        """
        # Each level has directions of its own, and so its own query tokens.
        projected = {}
        for level, weight in queries.level_weights.items():
            if weight:
                bags = queries.bags_of(level)
                embeds = bags.embeds.float() @ self.directions[level].to(bags.embeds.device)
                projected[level] = dataclasses.replace(bags, embeds=embeds)
        reduced = dataclasses.replace(
            queries,
            bags=projected,
            encoder_of_level={level: level for level in projected},
            level_weights={level: queries.level_weights[level] for level in projected},
        )
        return self.scorer.scores(reduced, rows=rows).scores


def _mean_tokens(bags: QueryBags) -> Tensor:
    """The mean of each query's tokens that count, at unit length, float32 [Nq, D] on the CPU."""
    mask = bags.mask.to(bags.embeds.dtype)[:, :, None]
    return F.normalize((bags.embeds * mask).sum(dim=1).float(), dim=-1).cpu()
