"""CLaMR's contrastive loss and the losses of levels that some videos lack, by loops over pairs."""

import math

import pytest
import torch
from torch import Tensor

from video_colbert.modeling_video_colbert.losses_video_colbert import (
    calibrated_logit_bias,
    info_nce_loss,
    modality_info_nce_loss,
    sigmoid_loss,
)

SCALE = torch.tensor(math.log(50.0), dtype=torch.float64)


def level_scores() -> Tensor:
    """Three levels of four queries and four videos; video 1 lacks level 2 and video 3 levels 1 and 2."""
    scores = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 5
    scores[2, :, 1] = scores[1:, :, 3] = -math.inf
    return scores


def by_loops(scores: Tensor, positives: Tensor, labels: list[int], variant: str) -> float:
    losses = []
    for i in range(4):
        best = [max(float(scores[m, i, j]) for m in range(3)) for j in range(4)]
        own = list(best)
        is_hard = variant != "standard" and labels[i] >= 0
        for j in range(4):
            if is_hard and positives[i, j] and scores[labels[i], i, j] > -math.inf:
                own[j] = float(scores[labels[i], i, j])
        among = [50 * score for score in own]
        if is_hard and variant == "hard_negative":
            among = [50 * float(scores[m, i, j]) for m in range(3) for j in range(4)]
        total = sum(math.exp(logit) for logit in among)
        likelihoods = [50 * own[j] - math.log(total) for j in range(4) if positives[i, j]]
        losses.append(-sum(likelihoods) / len(likelihoods))
    return sum(losses) / 4


@pytest.mark.parametrize("variant", ["standard", "hard_positive", "hard_negative"])
def test_modality_loss_equals_a_loop_over_queries(variant: str) -> None:
    positives = torch.eye(4, dtype=torch.bool)
    positives[0, 2] = True
    # The label of query 3 is of a level that its video lacks.
    labels = [1, 2, -1, 2]
    scores = level_scores().requires_grad_()
    scale = SCALE.clone().requires_grad_()
    loss = modality_info_nce_loss(scores, positives, scale, torch.tensor(labels), variant)
    assert loss.item() == pytest.approx(by_loops(level_scores(), positives, labels, variant), abs=1e-9)
    loss.backward()
    assert scores.grad is not None
    assert scale.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(scale.grad)
    unlabelled = modality_info_nce_loss(level_scores(), positives, SCALE, None, variant)
    assert unlabelled.item() == pytest.approx(by_loops(level_scores(), positives, [-1] * 4, variant), abs=1e-9)


def test_losses_of_a_level_leave_out_videos_without_it() -> None:
    scores, positives = level_scores()[2], torch.eye(4, dtype=torch.bool)
    there = [0, 2]
    bias = torch.tensor(-3.0, dtype=torch.float64)
    expected = 0.0
    for i in range(4):
        for j in there:
            z = 1.0 if i == j else -1.0
            expected += math.log1p(math.exp(-z * (50 * float(scores[i, j]) - 3.0))) / 4
    scale = SCALE.clone().requires_grad_()
    loss = sigmoid_loss(scores.requires_grad_(), positives, scale, bias)
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    loss.backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert scale.grad is not None
    assert torch.isfinite(scale.grad)
    values = scores.detach()[:, there]
    rows = [50 * values[i, c] - torch.logsumexp(50 * values[i], 0) for c, i in enumerate(there)]
    columns = [50 * values[i, c] - torch.logsumexp(50 * values[:, c], 0) for c, i in enumerate(there)]
    halves = [-float(sum(part)) / 2 for part in (rows, columns)]
    assert info_nce_loss(scores.detach(), positives, SCALE).item() == pytest.approx(sum(halves) / 2, abs=1e-9)
    mean = float(torch.stack([scores.detach()[i, j] for i in range(4) for j in there if i != j]).mean())
    calibrated = calibrated_logit_bias(scores.detach(), positives, SCALE)
    assert calibrated.item() == pytest.approx(-50 * mean - math.log(3), abs=1e-9)
