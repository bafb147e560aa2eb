import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.modeling_video_colbert.losses_video_colbert import (
    calibrated_logit_bias,
    info_nce_loss,
    sigmoid_loss,
)


@pytest.fixture
def scores() -> Tensor:
    return torch.rand(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def duplicates() -> Tensor:
    """Positives where examples 0 and 2 are captions of one video."""
    mask = torch.eye(4, dtype=torch.bool)
    mask[0, 2] = mask[2, 0] = True
    return mask


@pytest.mark.parametrize("positives", [torch.eye(4, dtype=torch.bool), duplicates()])
def test_sigmoid_loss_equals_a_loop_over_all_pairs_divided_by_the_batch(scores: Tensor, positives: Tensor) -> None:
    t, b = 4.77, -12.93
    total = 0.0
    for i in range(4):
        for j in range(4):
            z = 1 if positives[i, j] else -1
            total += math.log(1 / (1 + math.exp(-z * (math.exp(t) * float(scores[i, j]) + b))))
    loss = sigmoid_loss(scores, positives, torch.tensor(t, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))
    assert loss.item() == pytest.approx(-total / 4, abs=1e-9)


def test_info_nce_of_single_positives_is_the_symmetric_cross_entropy(scores: Tensor) -> None:
    logits = math.exp(3.0) * scores
    target = torch.arange(4)
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    loss = info_nce_loss(scores, torch.eye(4, dtype=torch.bool), torch.tensor(3.0, dtype=torch.float64))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)


def test_info_nce_averages_the_positives_of_a_query_and_leaves_out_rows_without_any(scores: Tensor) -> None:
    positives = duplicates()
    positives[1, 1] = False
    expected = 0.0
    for matrix, mask in ((scores, positives), (scores.T, positives.T)):
        rows = []
        for i in range(4):
            columns = [j for j in range(4) if mask[i, j]]
            if columns:
                normaliser = math.log(sum(math.exp(2 * float(matrix[i, j])) for j in range(4)))
                rows.append(-sum(2 * float(matrix[i, j]) - normaliser for j in columns) / len(columns))
        expected += sum(rows) / len(rows) / 2
    scale = torch.tensor(math.log(2.0), dtype=torch.float64)
    assert info_nce_loss(scores, positives, scale).item() == pytest.approx(expected, abs=1e-12)


def test_calibrated_bias_gives_an_average_negative_the_logit_of_one_positive_among_the_batch(scores: Tensor) -> None:
    positives = duplicates()
    scale = torch.tensor(4.77, dtype=torch.float64)
    bias = calibrated_logit_bias(scores, positives, scale)
    negatives = [float(scores[i, j]) for i in range(4) for j in range(4) if not positives[i, j]]
    average_logit = math.exp(4.77) * sum(negatives) / len(negatives) + bias.item()
    assert average_logit == pytest.approx(-math.log(3), abs=1e-9)


def test_calibration_without_negatives_is_refused() -> None:
    with pytest.raises(ValueError, match="without negative pairs"):
        calibrated_logit_bias(torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool), torch.tensor(1.0))
