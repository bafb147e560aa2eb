"""Agreement of the frame and the video level as a sign that a video was attacked, and its ROC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def level_disagreement(frame_scores: Tensor, video_scores: Tensor) -> Tensor:
    """How differently the two levels of a video see queries: 1 minus the correlation of their scores.

    Of a clean video the frame level and the video level rank queries much alike. A change of pixels is pushed through
    two different functions of the same frames.

    Args:
        frame_scores: [Nq, N] scores on the frame level for probing queries, each minus its query's mean over clean
            videos.
        video_scores: [Nq, N] likewise on the video level.

    Returns:
        [N], from 0 for levels that agree to 2.

    Raises:
        ValueError: there are fewer than 2 queries, or the shapes differ.
    """
    if frame_scores.shape != video_scores.shape or frame_scores.shape[0] < 2:
        raise ValueError(
            f"needs scores of at least 2 queries on both levels, got {list(frame_scores.shape)} and "
            f"{list(video_scores.shape)}"
        )
    frame = frame_scores - frame_scores.mean(0)
    video = video_scores - video_scores.mean(0)
    tiny = torch.finfo(frame.dtype).tiny
    lengths = torch.linalg.vector_norm(frame, dim=0) * torch.linalg.vector_norm(video, dim=0)
    correlation: Tensor = (frame * video).sum(0) / lengths.clamp(min=tiny)
    return 1 - correlation


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic: what a detector finds at each share of false alarms.

    Attributes:
        false_alarms: [n] share of clean videos that are taken for attacked ones, increasing, from 0 to 1.
        found: [n] share of attacked videos that are found.
        area: under the curve: the probability that an attacked video looks more suspicious than a clean one, ties
            counting half.
    """

    false_alarms: npt.NDArray[np.float64]
    found: npt.NDArray[np.float64]
    area: float

    def found_at(self, false_alarms: float) -> float:
        """The largest share of attacked videos that is found with at most this share of false alarms."""
        return float(self.found[self.false_alarms <= false_alarms].max())


def roc(clean: npt.NDArray[np.float64], attacked: npt.NDArray[np.float64]) -> Roc:
    """The ROC of a detector that takes a video for attacked where its statistic is large.

    Args:
        clean: [n] the statistic of clean videos.
        attacked: [m] of attacked ones.

    Raises:
        ValueError: there is none of one kind.

    Example:
        >>> import numpy as np
        >>> roc(np.array([0.1, 0.2]), np.array([0.15, 0.3])).area
        0.75
    """
    if not len(clean) or not len(attacked):
        raise ValueError(f"a ROC needs videos of both kinds, got {len(clean)} clean and {len(attacked)} attacked")
    thresholds = np.unique(np.concatenate([clean, attacked]))[::-1]
    false_alarms = np.concatenate([[0.0], (clean[None, :] >= thresholds[:, None]).mean(1)])
    found = np.concatenate([[0.0], (attacked[None, :] >= thresholds[:, None]).mean(1)])
    area = float((np.diff(false_alarms) * (found[1:] + found[:-1]) / 2).sum())
    return Roc(false_alarms, found, area)
