import math

import pytest
import torch

from video_colbert.evaluation.robustness.multi_target_loss import multi_target_loss


def test_it_is_the_mean_of_exponentials_of_scores() -> None:
    scores = torch.tensor([0.2, -0.1])
    promoted = (math.exp(-5 * 0.2) + math.exp(5 * 0.1)) / 2
    suppressed = (math.exp(5 * 0.2) + math.exp(-5 * 0.1)) / 2
    assert multi_target_loss(scores, "promote", 5.0).item() == pytest.approx(promoted)
    assert multi_target_loss(scores, "suppress", 5.0).item() == pytest.approx(suppressed)


def test_targets_that_are_furthest_away_weigh_most() -> None:
    scores = torch.tensor([0.9, 0.1], requires_grad=True)
    (gradient,) = torch.autograd.grad(multi_target_loss(scores, "promote", 10.0), scores)
    assert (gradient < 0).all()
    assert gradient[1] / gradient[0] == pytest.approx(math.exp(8), rel=1e-4)
