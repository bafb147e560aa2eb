"""The parts of which a query's score is the sum, so that candidates are dropped before all are computed."""

from __future__ import annotations

import dataclasses
from functools import partial

from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.cells.candidate_rounds import ScorePart
from video_colbert.index.search.exact_scores import scores_of_all
from video_colbert.index.search.prepared_tokens import PreparedTokens
from video_colbert.index.search.quantized_bags import PreparedQueries
from video_colbert.index.search.scoring import BoundedScores, counted_levels


def score_parts(query: EncodedQueries, tokens: PreparedTokens, number: int) -> list[ScorePart]:
    """What computes the score of rows: a part for each level where tokens are at hand by level, else one for all.

    Args:
        query: one encoded query, of an interaction whose error has a bound.
        tokens: of all videos.
        number: of all videos.
    """
    prepared: dict[str, PreparedQueries] = {}
    if not tokens.are_fast():
        return [partial(_scores, query, tokens, number, prepared)]
    by_level = [
        dataclasses.replace(query, level_weights={level: weight}) for level, weight in counted_levels(query).items()
    ]
    return [partial(_scores, of_level, tokens, number, prepared) for of_level in by_level]


def _scores(
    query: EncodedQueries, tokens: PreparedTokens, number: int, prepared: dict[str, PreparedQueries], rows: Tensor
) -> BoundedScores:
    """Fast scores of rows [1, n], or exact ones where there are no fast ones."""
    return tokens.fast_scores(query, rows, prepared) or scores_of_all(query, tokens, rows, number)[0]
