"""Exact scores of all videos, for interactions whose fast scores would have no bound."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.prepared_tokens import PreparedTokens
from video_colbert.index.search.scoring import BoundedScores, score_bags

# Allowed videos whose tokens are fetched at once.
_FETCHED_AT_ONCE = 8192
# Below this share of allowed videos theirs alone are fetched; above it all are scored and the rest left out.
_FETCHED_SHARE = 0.25
# Of a score in float64, rounded to float32: relative to its size, or to 1.
_ROUNDING = 1e-6


def scores_of_all(
    queries: EncodedQueries, tokens: PreparedTokens, allowed: Tensor | None, number: int
) -> list[BoundedScores]:
    """Exact scores, [1, n] for each query, as fast ones that are off by rounding alone.

    All tokens are read where they are not held: for 100,000 videos of 26 tokens of 512 numbers, 2.7 GB.

    Args:
        queries: Nq encoded queries.
        tokens: of all videos.
        allowed: int64 rows to score, in this order; None for all.
        number: of all videos.
    """
    if allowed is not None and len(allowed) < _FETCHED_SHARE * number:
        scores = _scored(queries, (tokens.fetch(rows) for rows in torch.split(allowed, _FETCHED_AT_ONCE)))
    else:
        scores = _scored(queries, tokens.parts())
        if allowed is not None:
            scores = scores[:, allowed]
    errors = _ROUNDING * scores.abs().clamp(min=1.0)
    # A video without tokens on any level that counts: minus infinity, surely.
    errors = errors.masked_fill(scores.isneginf(), 0.0)
    return BoundedScores(scores, errors, errors).split()


def _scored(queries: EncodedQueries, parts: Iterator[LevelBags]) -> Tensor:
    """Scores of parts, one behind another, float32 [Nq, n]."""
    return torch.cat([score_bags(queries, bags).scores for bags in parts], dim=1)
