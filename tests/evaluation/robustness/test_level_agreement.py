import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from video_colbert.evaluation.robustness.level_agreement import level_disagreement, roc


def test_disagreement_is_one_minus_the_correlation_over_queries() -> None:
    generator = torch.Generator().manual_seed(0)
    frame, video = torch.randn(2, 20, 3, generator=generator)
    expected = [1 - np.corrcoef(frame[:, column], video[:, column])[0, 1] for column in range(3)]
    np.testing.assert_allclose(level_disagreement(frame, video).numpy(), expected, rtol=1e-5)
    assert level_disagreement(frame, 3 * frame + 1).abs().max() < 1e-6
    with pytest.raises(ValueError, match="at least 2 queries"):
        level_disagreement(frame[:1], video[:1])


def test_the_roc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    clean, attacked = rng.normal(0, 1, 50).round(1), rng.normal(1, 1, 30).round(1)
    labels, values = np.repeat([0, 1], [50, 30]), np.concatenate([clean, attacked])
    found = roc(clean, attacked)
    assert found.area == pytest.approx(roc_auc_score(labels, values))
    false_alarms, true_alarms, _ = roc_curve(labels, values, drop_intermediate=False)
    np.testing.assert_allclose(found.false_alarms, false_alarms)
    np.testing.assert_allclose(found.found, true_alarms)
    assert found.found_at(0.1) == true_alarms[false_alarms <= 0.1].max()
    with pytest.raises(ValueError, match="both kinds"):
        roc(clean, np.zeros(0))
