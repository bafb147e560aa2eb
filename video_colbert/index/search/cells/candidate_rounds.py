"""How many of a query's candidates are scored: those that may be among its best, as the scores of the first ones tell.

What orders candidates predicts their scores but for an error. The scores of the first candidates, regressed on what
was predicted, show how large it is for this very query. Candidates that would reach the last of the best only by an
error of more than 4.25 standard deviations are left out. That number held for every query that was tried, made or a
user's, where the number of candidates that a recall takes differed by 18 times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from video_colbert.index.search.scoring import BoundedScores

FIRST_ROUND = 512
"""Candidates that are scored in any case."""

# How many times more there may be in the next round.
_GROWTH = 4
# Of 48 queries each, the ten best were among the candidates in .9958 or more: captions and made queries, 100,000
# videos that are distributed as those of a trained model, and clustered ones of 128 and 512 dimensions. With 4.0 it
# was .985 for the first of them.
DEVIATIONS = 4.25
"""Standard deviations of an error that no candidate is expected to exceed."""


@dataclass(frozen=True)
class RankedCandidates:
    """Candidates of a query, best first.

    Attributes:
        rows: int64 [n], rows of a source.
        predicted: float32 [n], decreasing, about their scores.
    """

    rows: Tensor
    predicted: Tensor


@dataclass(frozen=True)
class ScoredCandidates:
    """Candidates of a query that were scored.

    Attributes:
        rows: int64 [m], rows of a source.
        scores: of these, [1, m].
        least: what must be predicted of another candidate for it to be among the best; minus infinity where the
            scores do not tell.
    """

    rows: Tensor
    scores: BoundedScores
    least: float


@torch.inference_mode()
def score_in_rounds(
    candidates: RankedCandidates, score: Callable[[Tensor], BoundedScores], count: int
) -> ScoredCandidates:
    """Scores candidates until no other one may be among the best.

    Args:
        candidates: of one query.
        score: gives the scores [1, n] of rows.
        count: best rows that are wanted.
    """
    size = min(len(candidates.rows), max(FIRST_ROUND, 2 * count))
    parts = [score(candidates.rows[:size])]
    while True:
        found = BoundedScores.concatenate(parts)
        least = least_predicted(candidates.predicted[:size], found.scores[0], count)
        enough = int((candidates.predicted >= least).sum())
        if enough <= size:
            return ScoredCandidates(candidates.rows[:size], found, least)
        more = min(enough, _GROWTH * size)
        parts.append(score(candidates.rows[size:more]))
        size = more


def least_predicted(predicted: Tensor, scores: Tensor, count: int) -> float:
    """What must be predicted of a candidate that may be among the best.

    Args:
        predicted: float32 [m], about the score of each.
        scores: float32 [m]; minus infinity for a video without tokens.
        count: best rows that are wanted.
    """
    present = scores.isfinite()
    pairs = torch.stack([predicted[present], scores[present]], dim=1)
    # A video that is stored many times says but once how far a prediction is off. Pairs are compared as one number of
    # 64 bits each, which takes a twentieth of the time.
    inputs, targets = torch.unique(pairs.view(torch.int64)).view(torch.float32).view(-1, 2).double().T
    if len(targets) <= count:
        return float("-inf")
    centred, mean = inputs - inputs.mean(), targets.mean()
    slope = centred @ (targets - mean) / (centred @ centred).clamp(min=1e-12)
    error = DEVIATIONS * (targets - mean - slope * centred).std()
    needed = scores[present].double().topk(count).values[-1] - error - mean
    if slope <= 0:
        return float("-inf") if needed <= 0 else float("inf")
    return float(inputs.mean() + needed / slope)
