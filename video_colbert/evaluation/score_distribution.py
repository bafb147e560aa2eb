"""How the scores of right and of wrong pairs lie, from blocks of the score matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

_BINS = 400


@dataclass(frozen=True)
class ScoreDistribution:
    """Histograms of scores.

    Attributes:
        edges: [bins + 1] ends of the bins; the outer two bins also hold what lies beyond.
        positives: [bins] number of pairs of a text and its own video.
        negatives: [bins] number of the other pairs.
    """

    edges: npt.NDArray[np.float64]
    positives: npt.NDArray[np.int64]
    negatives: npt.NDArray[np.int64]


class RunningScoreDistribution:
    """A distribution from blocks: `observe` some to find the range, then `count` all.

    What lies outside the range that was observed, widened by half on both sides, goes to the outer bins. Scores of
    -inf, those of empty videos, are left out.
    """

    def __init__(self) -> None:
        self._low, self._high = float("inf"), float("-inf")
        self._counts = torch.zeros((2, _BINS), dtype=torch.long)

    def observe(self, scores: torch.Tensor) -> None:
        """Widens the range to these scores."""
        finite = scores[torch.isfinite(scores)]
        if len(finite):
            self._low = min(self._low, float(finite.min()))
            self._high = max(self._high, float(finite.max()))

    def count(self, scores: torch.Tensor, positives: torch.Tensor) -> None:
        """Adds a block of scores, with the mask of the right pairs."""
        low, high = self._range()
        clamped = torch.where(torch.isfinite(scores), scores.clamp(low, high), torch.nan)
        # histc leaves out what is not a number.
        everything = torch.histc(clamped, _BINS, low, high).long()
        right = torch.histc(clamped[positives], _BINS, low, high).long()
        self._counts += torch.stack([right, everything - right]).cpu()

    def finish(self) -> ScoreDistribution:
        """The histograms over all blocks."""
        right, wrong = self._counts.numpy()
        return ScoreDistribution(np.linspace(*self._range(), _BINS + 1), right, wrong)

    def _range(self) -> tuple[float, float]:
        if self._low > self._high:
            return -1.0, 1.0
        margin = max((self._high - self._low) / 2, 1e-6)
        return self._low - margin, self._high + margin
