"""The losses of an attack on many queries at once."""

from __future__ import annotations

import torch
from torch import Tensor

from video_colbert.evaluation.robustness.attack_settings import AttackGoal


def multi_target_loss(scores: Tensor, goal: AttackGoal, sharpness: float) -> Tensor:
    """The exponential loss over targets: `1/n sum_i exp(-a s_i)` to promote, with `+a` to suppress.

    A target whose score is still low weighs most, so no few targets are won at the cost of the others. ViPro (arXiv
    2508.06964) has an exponential multi-target loss; its constants are not public, and these are ours.

    Args:
        scores: [n] the video's scores for the targets.
        goal: whether they are to rise or to fall.
        sharpness: the factor a.

    Returns:
        The loss, a number that the attack lowers.

    Raises:
        ValueError: there is no target.
    """
    if scores.numel() == 0:
        raise ValueError("an attack needs a target, and there is none")
    sign = -1.0 if goal == "promote" else 1.0
    return torch.exp(sign * sharpness * scores).mean()
