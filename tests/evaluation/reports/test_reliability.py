import numpy as np
import pytest

from tests.index.confidence.judged_lists import judged_lists
from video_colbert.evaluation.reports.reliability import (
    expected_calibration_error,
    held_out_reliability,
    reliability_bins,
)
from video_colbert.evaluation.reports.reliability_plot import reliability_plot


def test_error_is_that_of_a_loop_over_bins_of_equal_mass() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random(103)
    right = generator.random(103) < probabilities**2
    bins = reliability_bins(probabilities, right)
    assert [each.count for each in bins] == [11] * 3 + [10] * 7
    ordered = sorted(zip(probabilities, right, strict=True))
    expected, start = 0.0, 0
    for each in bins:
        part = ordered[start : start + each.count]
        start += each.count
        expected += abs(sum(p for p, _ in part) - sum(int(y) for _, y in part)) / 103
    assert expected_calibration_error(bins) == pytest.approx(expected)


def test_predictions_that_come_true_as_often_as_they_say_have_next_to_no_error() -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.random(20_000)
    assert expected_calibration_error(reliability_bins(probabilities, generator.random(20_000) < probabilities)) < 0.02
    assert expected_calibration_error(reliability_bins([1.0] * 4, [False] * 4)) == 1.0
    with pytest.raises(ValueError, match="as many predictions as outcomes"):
        reliability_bins([0.5], [True, False])


def test_held_out_queries_bear_out_probabilities_and_rates() -> None:
    found = held_out_reliability(judged_lists(1000))
    assert found.num_queries == sum(each.count for each in found.bins) == 1000
    assert found.error <= 0.05
    # Within the binomial interval of the stated rate.
    assert found.false_positives[0.05] == pytest.approx(0.05, abs=0.02)
    assert found.found[0.05] > 0.2
    plot = reliability_plot(found)
    assert plot.count("<circle") == 10
    assert f"expected calibration error {found.error:.3f}" in plot
    with pytest.raises(ValueError, match="63 judged queries or more, got 62"):
        held_out_reliability(judged_lists(62))
