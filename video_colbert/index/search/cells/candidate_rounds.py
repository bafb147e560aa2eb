"""How many of a query's candidates are scored: those that may be among its best, as the scores of the first ones tell.

What orders candidates predicts their scores but for an error. The scores of the first candidates, regressed on what
was predicted, show how large it is for this very query. Candidates that would reach the last of the best only by an
error of more than 4.25 standard deviations are left out. That number held for every query that was tried, made or a
user's, where the number of candidates that a recall takes differed by 18 times.

A score that is a sum of parts, as of levels, is found part by part. One part and what was predicted tell the score
with a smaller error, so the others are computed only for the candidates that may still be among the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from video_colbert.index.search.scoring import BoundedScores

FIRST_ROUND = 512
"""Candidates of which all parts are computed in any case."""

# How many times more there may be in the next round.
_GROWTH = 4
# Of more candidates, every other one and so on says how scores depend on what was predicted.
_MOST_FITTED = 2048
# From fewer that differ, a part does not say how others' scores depend on it.
_FEWEST_FITTED = 64
# Of 48 queries each, the ten best were among the candidates in .9958 or more: captions and made queries, 100,000
# videos that are distributed as those of a trained model, and clustered ones of 128 and 512 dimensions. With 4.0 it
# was .985 for the first of them.
DEVIATIONS = 4.25
"""Standard deviations of an error that no candidate is expected to exceed."""

Numbers = npt.NDArray[np.float64]

ScorePart = Callable[[Tensor], BoundedScores]
"""Gives a part of the scores [1, n] of rows, int64 [n]; the parts' sum is the score."""


@dataclass(frozen=True)
class Candidates:
    """Candidates of a query, in any order.

    Attributes:
        rows: int64 [n], rows of a source.
        predicted: float32 [n], about their scores.
    """

    rows: Tensor
    predicted: Tensor

    def best(self, number: int) -> Tensor:
        """Positions of those with the best predictions, in any order; of all where there are no more."""
        if number >= len(self.rows):
            return torch.arange(len(self.rows))
        return self.predicted.topk(number, sorted=False).indices

    def at(self, positions: Tensor) -> Candidates:
        """Those at some positions."""
        return Candidates(self.rows[positions], self.predicted[positions])


class CandidateRounds:
    """Scores candidates of one query, round after round, and tells which others may be among its best.

    Args:
        parts: of a score, at least one.
        count: best rows that are wanted.
    """

    def __init__(self, parts: Sequence[ScorePart], count: int) -> None:
        self._parts = list(parts)
        self._count = count
        self._rows: list[Tensor] = []
        self._scores: list[BoundedScores] = []
        # Of all candidates so far: what was predicted and the score, or what a part tells of it.
        self._predicted, self._known = torch.zeros(0), torch.zeros(0)
        self._by_part: _LinearFit | None = None
        self._num_left_out = 0

    @property
    def number(self) -> int:
        """How many candidates were looked at."""
        return len(self._predicted)

    @torch.inference_mode()
    def score_all(self, candidates: Candidates, most: int) -> float:
        """Scores candidates, those with the best predictions first, until no other one may be among the best.

        Args:
            candidates: of the query.
            most: how many may be looked at.

        Returns:
            What must be predicted of another candidate for it to be among the best.
        """
        first = candidates.best(min(most, max(FIRST_ROUND, 2 * self._count)))
        self._score_first(candidates.at(first))
        is_left = torch.ones(len(candidates.rows), dtype=torch.bool)
        is_left[first] = False
        while True:
            least = self._least()
            left = (is_left & (candidates.predicted >= least)).nonzero()[:, 0]
            if not len(left) or self.number >= most:
                return least
            chosen = left[candidates.at(left).best(min(most - self.number, (_GROWTH - 1) * self.number))]
            self.score(candidates.at(chosen))
            is_left[chosen] = False

    @torch.inference_mode()
    def score(self, candidates: Candidates) -> None:
        """Scores further candidates, but for those that their first part shows not to be among the best."""
        rows, predicted = candidates.rows, candidates.predicted
        if self._by_part is None:
            self._keep(rows, predicted, BoundedScores.sum([part(rows) for part in self._parts]))
            return
        first = self._parts[0](rows)
        expected = self._by_part.of_inputs([predicted, first.scores[0]])
        may_be_best = expected + DEVIATIONS * self._by_part.error >= self._last_of_best()
        kept = (may_be_best | ~first.scores[0].isfinite()).nonzero()[:, 0]
        scores = BoundedScores.sum([first.select(kept), *(part(rows[kept]) for part in self._parts[1:])])
        expected[kept] = scores.scores[0]
        self._keep(rows[kept], predicted, scores, expected)

    @torch.inference_mode()
    def found(self) -> tuple[Tensor, BoundedScores]:
        """The rows that were scored, int64 [m] increasing, and their scores [1, m]."""
        rows = torch.cat(self._rows)
        increasing = rows.argsort()
        return rows[increasing], BoundedScores.concatenate(self._scores).select(increasing)

    def _least(self) -> float:
        """What must be predicted of another candidate for it to be among the best.

        It is minus infinity where the scores do not tell. Of candidates that a part was enough for, the score is what
        that told, with the error that this has.
        """
        every = math.ceil(self.number / _MOST_FITTED)
        predicted, known = self._predicted[::every], self._known[::every]
        once = _distinct(predicted, known)
        fit = _LinearFit.of([predicted[once]], known[once])
        if fit.number <= self._count:
            return float("-inf")
        variance = fit.error**2
        if self._by_part is not None:
            variance += self._num_left_out / self.number * self._by_part.error**2
        needed = self._last_of_best() - DEVIATIONS * math.sqrt(variance) - fit.mean
        slope = float(fit.slopes[0])
        if slope <= 0:
            return float("-inf") if needed <= 0 else float("inf")
        return float(fit.centre[0]) + needed / slope

    def _score_first(self, candidates: Candidates) -> None:
        """Computes all parts of the first candidates, and puts the one first that tells most of the score."""
        rows, predicted = candidates.rows, candidates.predicted
        parts = [part(rows) for part in self._parts]
        scores = BoundedScores.sum(parts)
        self._keep(rows, predicted, scores)
        if len(parts) == 1:
            return
        total = scores.scores[0]
        once = _distinct(predicted, total)
        fits = [_LinearFit.of([predicted[once], part.scores[0][once]], total[once]) for part in parts]
        if len(once) >= _FEWEST_FITTED:
            first = min(range(len(parts)), key=lambda number: fits[number].error)
            self._parts.insert(0, self._parts.pop(first))
            self._by_part = fits[first]

    def _keep(self, rows: Tensor, predicted: Tensor, scores: BoundedScores, known: Tensor | None = None) -> None:
        self._rows.append(rows)
        self._scores.append(scores)
        self._predicted = torch.cat([self._predicted, predicted])
        self._known = torch.cat([self._known, scores.scores[0] if known is None else known])
        self._num_left_out += len(predicted) - len(rows)

    def _last_of_best(self) -> float:
        """The score of the last of the best so far; minus infinity while there are not so many."""
        scores = torch.cat([part.scores[0] for part in self._scores])
        if len(scores) < self._count:
            return float("-inf")
        last: float = scores.topk(self._count).values[-1].item()
        return last


@dataclass(frozen=True)
class _LinearFit:
    """A linear function of F inputs, fitted by least squares.

    Attributes:
        number: of what it was fitted to.
        centre: [F], means of the inputs.
        slopes: [F].
        mean: of the targets.
        error: standard deviation of the targets from the function; infinity where there are too few to tell.
    """

    number: int
    centre: Numbers
    slopes: Numbers
    mean: float
    error: float

    @classmethod
    def of(cls, inputs: Sequence[Tensor], targets: Tensor) -> _LinearFit:
        """Fits targets [n] by F inputs [n] each; what is not finite counts for nothing."""
        # Numpy starts a small product in a fifth of the time that torch takes.
        numbers = np.stack([part.numpy() for part in (*inputs, targets)]).astype(np.float64)
        numbers = numbers[:, np.isfinite(numbers).all(axis=0)]
        width, number = len(inputs), numbers.shape[1]
        if number <= width + 1:
            return cls(number, np.zeros(width), np.zeros(width), 0.0, float("inf"))
        means = numbers.mean(axis=1)
        centred = numbers - means[:, None]
        gram = centred[:width] @ centred[:width].T
        # Inputs that do not vary say nothing.
        gram[np.diag_indices(width)] += 1e-12 * gram.diagonal().max() + 1e-12
        slopes = np.linalg.solve(gram, centred[:width] @ centred[width])
        error = (centred[width] - slopes @ centred[:width]).std()
        return cls(number, means[:width], slopes, float(means[width]), float(error))

    def of_inputs(self, inputs: Sequence[Tensor]) -> Tensor:
        """The function of F inputs, float32 [n] each."""
        terms = [
            float(slope) * (part.double() - float(centre))
            for part, slope, centre in zip(inputs, self.slopes, self.centre, strict=True)
        ]
        return (self.mean + torch.stack(terms).sum(dim=0)).float()


def _distinct(predicted: Tensor, scores: Tensor) -> Tensor:
    """Positions of pairs that differ, each once: a video that is stored many times says but once how far it is off.

    Pairs, float32 [n] each, are compared as one number of 64 bits, which takes a twentieth of the time.
    """
    pairs = torch.stack([predicted, scores], dim=1).view(torch.int64)[:, 0]
    return torch.from_numpy(np.unique(pairs.numpy(), return_index=True)[1])
