"""All tokens in few dimensions: a scan that orders videos nearly as the exact score does, for part of its work.

Tokens of a trained model fill few of their dimensions. Tokens lose least, in the mean square, if they are projected on
the leading eigenvectors of their second moment (principal component analysis without centring). The query need not be
pooled then: the maximum over each video's tokens is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.scoring import TwoLevelScorer
from video_colbert.index.search.token_bags import TokenBags

# A quarter of the dimensions, but no fewer than this.
_SHARE = 4
_FEWEST = 16


@torch.inference_mode()
def principal_directions(frames: TokenBags, videos: TokenBags | None) -> Tensor:
    """The directions on which tokens like these are projected.

    Args:
        frames: bags of frame tokens, some thousands of tokens.
        videos: bags of video tokens; None for a model without the video level.

    Returns:
        float32 [D, R] orthonormal columns; R is a quarter of D, at least 16, at most D.
    """
    tokens = torch.cat([bags.tokens for bags in (frames, videos) if bags is not None]).float()
    width = tokens.shape[1]
    eigenvectors: Tensor = torch.linalg.eigh(tokens.T @ tokens).eigenvectors
    return eigenvectors[:, width - min(width, max(_FEWEST, width // _SHARE)) :].contiguous()


class ReducedTokens:
    """The tokens of all videos, projected, in the fast number format.

    Args:
        directions: float32 [D, R] orthonormal columns.
        scorer: holds the projected tokens.
    """

    def __init__(self, directions: Tensor, scorer: TwoLevelScorer) -> None:
        self.directions = directions
        self._scorer = scorer

    @classmethod
    @torch.inference_mode()
    def of(
        cls, directions: Tensor, frames: TokenBags, videos: TokenBags | None, device: torch.device
    ) -> ReducedTokens:
        """Projects bags."""
        projected = [
            None if bags is None else TokenBags(bags.tokens.float() @ directions, bags.offsets)
            for bags in (frames, videos)
        ]
        assert projected[0] is not None  # noqa: S101 - there is always a frame level
        return cls(directions, TwoLevelScorer(projected[0], projected[1], device=device))

    @classmethod
    def concatenate(cls, parts: Sequence[ReducedTokens]) -> ReducedTokens:
        """The videos of several parts, at least one, with the same directions, one part after another."""
        return cls(parts[0].directions, TwoLevelScorer.concatenate([part._scorer for part in parts]))

    @property
    def num_bytes(self) -> int:
        """Memory that the tokens take."""
        return self._scorer.num_bytes

    @torch.inference_mode()
    def scores(
        self,
        queries: EncodedQueries,
        *,
        rows: Tensor | None = None,
        level_weights: Mapping[str, float] | None = None,
    ) -> Tensor:
        """Two-level scores of projected queries and tokens, float32 [Nq, n].

        Args:
            queries: Nq encoded queries.
            rows: int64 positions to score, in this order; None for all.
            level_weights: weight of each level; 1 where none is given.

        Raises:
            ValueError: `level_weights` does not fit the model.
        """
        embeds = queries.query_embeds.float() @ self.directions.to(queries.query_embeds.device)
        projected = dataclasses.replace(queries, query_embeds=embeds)
        return self._scorer.scores(projected, rows=rows, level_weights=level_weights).scores
