"""Losses of Video-ColBERT: the dual sigmoid loss (arXiv 2503.19009), and InfoNCE to compare it with.

Every loss takes an `Nq x Nv` matrix of MeanMaxSim scores and a boolean matrix of the pairs that belong together; only
what levels learn from each other takes their logits. `logit_scale` is the natural **logarithm** of the factor on the
scores, everywhere. A score of minus infinity says that a video has no tokens on a level: such a pair has no part in
that level's loss.
"""

from collections.abc import Mapping

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
    is_there = ~scores.isneginf()
    logits = logit_scale.exp() * scores.masked_fill(~is_there, 0.0) + logit_bias
    signs = torch.where(positive_mask, 1.0, -1.0)
    return -(F.logsigmoid(signs * logits) * is_there).sum() / scores.shape[0]


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
    logits = _logits(scores, logit_scale)
    positive_mask = positive_mask & ~scores.isneginf()
    directions = [
        _mean_over_rows(rows - rows.logsumexp(1, keepdim=True), positives)
        for rows, positives in ((logits, positive_mask), (logits.T, positive_mask.T))
    ]
    return (directions[0] + directions[1]) / 2


def modality_info_nce_loss(
    level_scores: Tensor,
    positive_mask: Tensor,
    logit_scale: Tensor,
    query_levels: Tensor | None = None,
    variant: str = "standard",
) -> Tensor:
    """Computes CLaMR's modality-aware contrastive loss (arXiv 2506.06144): a softmax of each query over the videos.

    A video is scored by its best level, `modality_max`. Queries whose level is labelled are treated otherwise in the
    two hard variants: their right video is scored by that level, and of `"hard_negative"` the softmax is over all
    pairs of video and level. A right video without tokens on that level is scored by its best one.

    Args:
        level_scores: `[M, Nq, Nv]` scores of M levels.
        positive_mask: `[Nq, Nv]`, true where query and video belong together; the log-probabilities of several are
            averaged.
        logit_scale: Scalar temperature, a logarithm; the paper's code has 1/.02.
        query_levels: `[Nq]`, the labelled level of each query, 0 to M - 1, or -1 for none.
        variant: `"standard"`, `"hard_positive"` or `"hard_negative"`.

    Returns:
        The loss, a scalar: the mean over queries with a positive.
    """
    best = level_scores.max(0).values
    positive_mask = positive_mask & ~best.isneginf()
    own, is_labelled = best, torch.zeros(best.shape[0], dtype=torch.bool, device=best.device)
    if query_levels is not None and variant != "standard":
        is_labelled = query_levels >= 0
        rows = torch.arange(best.shape[0], device=best.device)
        of_label = level_scores[query_levels.clamp(min=0), rows]
        own = torch.where(is_labelled[:, None] & positive_mask & ~of_label.isneginf(), of_label, best)
    logits = _logits(own, logit_scale)
    totals = logits.logsumexp(1)
    if variant == "hard_negative":
        every = _logits(level_scores, logit_scale).permute(1, 0, 2).flatten(1)
        totals = torch.where(is_labelled, every.logsumexp(1), totals)
    return _mean_over_rows(logits - totals[:, None], positive_mask)


def level_distillation_loss(level_logits: Mapping[str, Tensor], variant: str) -> Tensor:
    """Computes what levels learn from each other: the divergence of a level's ranking of the videos from a teacher's.

    `L = (1/B) sum_i KL(p_i || softmax_j z_ij)` over the queries i of a batch and its videos j, z a level's logits
    (Hinton et al., arXiv 1503.02531, at temperature 1). The teacher `p` takes no gradient. `"sum_to_frame"` and
    `"sum_to_video"`: the softmax of the sum of both levels' logits teaches one of them. `"cross_level"`: the mean of
    both levels' softmaxes teaches both, and their divergences are added.

    Args:
        level_logits: `[Nq, Nv]` scores times their temperature of the levels `"frame"` and `"video"`.
        variant: Which of the three.

    Returns:
        The loss, a scalar.
    """
    students = {level: F.log_softmax(logits, dim=1) for level, logits in level_logits.items()}
    if variant == "cross_level":
        teacher = torch.stack([student.detach() for student in students.values()]).exp().mean(0)
        return torch.stack([_divergence(student, teacher) for student in students.values()]).sum()
    teacher = torch.stack([logits.detach() for logits in level_logits.values()]).sum(0).softmax(1)
    return _divergence(students[variant.removeprefix("sum_to_")], teacher)


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of logarithms of probabilities from probabilities, the mean over rows."""
    return F.kl_div(student, teacher, reduction="batchmean")


def _logits(scores: Tensor, logit_scale: Tensor) -> Tensor:
    """Scales scores; those of minus infinity stay so, and give the temperature no gradient."""
    missing = scores.isneginf()
    return (logit_scale.exp() * scores.masked_fill(missing, 0.0)).masked_fill(missing, float("-inf"))


def _mean_over_rows(log_likelihoods: Tensor, positives: Tensor) -> Tensor:
    """Negates the mean, over rows with a positive, of the mean log-likelihood of their positives."""
    counts = positives.sum(1)
    of_rows = torch.where(positives, log_likelihoods, 0.0).sum(1) / counts.clamp(min=1)
    return -of_rows.sum() / (counts > 0).sum().clamp(min=1)


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
    negatives = scores.detach()[~positive_mask & ~scores.isneginf()]
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


__all__ = [
    "calibrated_logit_bias",
    "info_nce_loss",
    "level_distillation_loss",
    "modality_info_nce_loss",
    "positive_pairs",
    "sigmoid_loss",
]
