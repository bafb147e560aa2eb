"""A source's ranked list of videos for one query, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RankedList:
    """What one source found for one query.

    Attributes:
        ids: of the videos, the best first, each once.
        scores: float64 [len(ids)], never rising.
    """

    ids: tuple[str, ...]
    scores: FloatArray

    @classmethod
    def of(cls, source: str, hits: Sequence[tuple[str, float]]) -> RankedList:
        """A list of pairs of a video's id and its score, checked.

        Args:
            source: the name of the source, for messages.
            hits: the pairs, the best first.

        Raises:
            ValueError: a video is there twice, a score is not a finite number, or scores rise.
        """
        ids = tuple(video for video, _ in hits)
        scores = np.array([float(score) for _, score in hits], dtype=np.float64)
        if len(set(ids)) < len(ids):
            twice = next(video for place, video in enumerate(ids) if video in ids[:place])
            raise ValueError(f"the list of {source} has {twice!r} twice; group its hits by video first")
        if not all(map(math.isfinite, scores)):
            raise ValueError(f"the list of {source} has a score that is not a finite number")
        if (np.diff(scores) > 0).any():
            raise ValueError(f"the list of {source} does not have its best hits first")
        return cls(ids, scores)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def margins(self) -> FloatArray:
        """By hit, how far its score is above the best of the others: none but the first hit's is above zero.

        The only hit of a list has a margin of zero.
        """
        if len(self) < 2:
            return np.zeros(len(self))
        margins: FloatArray = self.scores - self.scores[0]
        margins[0] = self.scores[0] - self.scores[1]
        return margins
