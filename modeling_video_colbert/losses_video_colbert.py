"""Losses of Video-ColBERT: the dual sigmoid loss (arXiv 2503.19009), and InfoNCE to compare it with.

Every loss takes an `Nq x Nv` matrix of MeanMaxSim scores and a boolean matrix of the pairs that belong
together. `logit_scale` is the natural **logarithm** of the factor on the scores, everywhere.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def sigmoid_loss(scores: Tensor, positive_mask: Tensor, logit_scale: Tensor, logit_bias: Tensor) -> Tensor:
    """Computes the pairwise sigmoid loss of one level.

    `L = -(1/B) sum_i sum_j log sigmoid(z_ij (exp(t) s_ij + b))`, z = +1 on positives and -1 elsewhere; the
    sum runs over all pairs and is divided by the number of queries B, not of pairs (arXiv 2503.19009, after
    Zhai et al., arXiv 2303.15343).

    Args:
        scores: `[Nq, Nv]` MeanMaxSim scores `s`.
        positive_mask: `[Nq, Nv]`, true where query and video belong together.
        logit_scale: Scalar `t`, a logarithm.
        logit_bias: Scalar `b`.

    Returns:
        The loss, a scalar.
    """
    logits = logit_scale.exp() * scores + logit_bias
    signs = torch.where(positive_mask, 1.0, -1.0)
    return -F.logsigmoid(signs * logits).sum() / scores.shape[0]


def info_nce_loss(scores: Tensor, positive_mask: Tensor, logit_scale: Tensor) -> Tensor:
    """Computes the symmetric InfoNCE loss of one level, the mean of both directions.

    Of a query with several positives the log-probabilities are averaged; a row or column without a positive
    is left out.

    Args:
        scores: `[Nq, Nv]` MeanMaxSim scores.
        positive_mask: `[Nq, Nv]`, true where query and video belong together.
        logit_scale: Scalar temperature, a logarithm.

    Returns:
        The loss, a scalar.
    """
    logits = logit_scale.exp() * scores
    directions = []
    for rows, positives in ((logits, positive_mask), (logits.T, positive_mask.T)):
        counts = positives.sum(1)
        log_likelihoods = (F.log_softmax(rows, dim=1) * positives).sum(1) / counts.clamp(min=1)
        directions.append(-log_likelihoods.sum() / (counts > 0).sum().clamp(min=1))
    return (directions[0] + directions[1]) / 2


def calibrated_logit_bias(scores: Tensor, positive_mask: Tensor, logit_scale: Tensor) -> Tensor:
    """Computes the bias that starts the sigmoid loss unsaturated, from the first global batch.

    `b = -exp(t) mean(negative s) - log(B - 1)`: an average negative pair then has the logit `-log(B - 1)`,
    so the negatives of a query weigh together as much as its positive.

    Args:
        scores: `[Nq, Nv]` MeanMaxSim scores of the whole batch.
        positive_mask: `[Nq, Nv]`, true where query and video belong together.
        logit_scale: Scalar temperature, a logarithm.

    Returns:
        The bias, a scalar without gradient.

    Raises:
        ValueError: If the batch has no negative pair.
    """
    negatives = scores.detach()[~positive_mask]
    if negatives.numel() == 0:
        raise ValueError("The bias cannot be calibrated on a batch without negative pairs; use two videos or more.")
    num_negatives = max(scores.shape[1] - 1, 1)
    return -logit_scale.detach().exp() * negatives.mean() - torch.log(
        torch.as_tensor(float(num_negatives), dtype=scores.dtype, device=scores.device)
    )


def positive_pairs(scores: Tensor, positive_mask: Tensor | None) -> Tensor:
    """Checks the mask of positive pairs, or makes the diagonal one.

    Args:
        scores: `[Nq, Nv]` scores.
        positive_mask: `[Nq, Nv]`, true where query and video belong together. `None` means the diagonal.

    Returns:
        `[Nq, Nv]`, boolean.

    Raises:
        ValueError: If the mask has another shape, or is missing where there are not as many queries as videos.
    """
    if positive_mask is None:
        if scores.shape[0] != scores.shape[1]:
            raise ValueError(
                f"positive_mask is needed for {scores.shape[0]} queries and {scores.shape[1]} videos: which belong "
                "together?"
            )
        return torch.eye(scores.shape[0], dtype=torch.bool, device=scores.device)
    if positive_mask.shape != scores.shape:
        raise ValueError(f"positive_mask is {list(positive_mask.shape)}; it must be {list(scores.shape)}.")
    return positive_mask.bool()


__all__ = ["calibrated_logit_bias", "info_nce_loss", "positive_pairs", "sigmoid_loss"]
