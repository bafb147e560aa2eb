import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.modeling_video_colbert.losses_video_colbert import (
    calibrated_logit_bias,
    info_nce_loss,
    level_distillation_loss,
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


@pytest.mark.parametrize("variant", ["sum_to_frame", "sum_to_video", "cross_level"])
def test_distillation_is_the_mean_divergence_of_rows_from_the_teacher(scores: Tensor, variant: str) -> None:
    logits = {"frame": 5 * scores, "video": 3 * scores.flip(0)}
    chances = {level: matrix.softmax(1) for level, matrix in logits.items()}
    if variant == "cross_level":
        teacher, students = (chances["frame"] + chances["video"]) / 2, ["frame", "video"]
    else:
        teacher, students = (logits["frame"] + logits["video"]).softmax(1), [variant.removeprefix("sum_to_")]
    expected = 0.0
    for student in students:
        for i in range(4):
            for j in range(4):
                p, q = float(teacher[i, j]), float(chances[student][i, j])
                expected += p * math.log(p / q) / 4
    assert level_distillation_loss(logits, variant).item() == pytest.approx(expected, abs=1e-12)


def test_the_teacher_of_a_level_takes_no_gradient(scores: Tensor) -> None:
    logits = {"frame": scores.clone().requires_grad_(), "video": scores.flip(0).requires_grad_()}
    gradients = torch.autograd.grad(
        level_distillation_loss(logits, "sum_to_video"), list(logits.values()), materialize_grads=True
    )
    assert not gradients[0].any()
    assert gradients[1].any()
