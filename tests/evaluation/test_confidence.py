from __future__ import annotations

import numpy as np
import pytest

from video_colbert.evaluation.confidence import bootstrap_intervals
from video_colbert.evaluation.metrics import metrics_from_counts
from video_colbert.evaluation.rank_counts import RankCounts, rank_counts


def counts_of_ranks(ranks: np.ndarray, gallery: int) -> RankCounts:
    zero = np.zeros_like(ranks)
    return RankCounts(
        better=ranks - 1, tied_negatives=zero, tied_positives=zero + 1, tied_before=zero, gallery=gallery
    )


def test_intervals_equal_those_of_metrics_computed_anew_on_each_resample() -> None:
    generator = np.random.default_rng(3)
    ranks = generator.integers(1, 30, 41)
    intervals = bootstrap_intervals(counts_of_ranks(ranks, 30), resamples=50, seed=7)
    draws = np.random.default_rng(7)
    metrics = []
    for _ in range(50):
        drawn = ranks[draws.integers(41, size=41)]
        metrics.append(metrics_from_counts(counts_of_ranks(drawn, 30)).as_dict())
    for name, (low, high) in intervals.items():
        expected = np.quantile([each[name] for each in metrics], [0.025, 0.975])
        assert (low, high) == pytest.approx(tuple(expected), abs=1e-9), name


def test_width_of_the_recall_interval_is_that_of_a_binomial() -> None:
    ranks = np.array([1] * 480 + [2] * 520)
    low, high = bootstrap_intervals(counts_of_ranks(ranks, 2), resamples=4000)["R@1"]
    deviation = 100 * np.sqrt(0.48 * 0.52 / 1000)
    assert (low + high) / 2 == pytest.approx(48.0, abs=0.3)
    assert (high - low) / (2 * 1.96 * deviation) == pytest.approx(1, abs=0.06)


def test_captions_of_one_video_are_drawn_together() -> None:
    # Ten captions a video that all hit or all miss are worth one caption.
    hits = np.array([1] * 20 + [2] * 20)
    one = bootstrap_intervals(counts_of_ranks(hits, 2), resamples=500, seed=1)
    repeated = counts_of_ranks(np.repeat(hits, 10), 2)
    together = bootstrap_intervals(repeated, clusters=np.repeat(np.arange(40), 10), resamples=500, seed=1)
    apart = bootstrap_intervals(repeated, resamples=500, seed=1)
    assert together == one
    width = together["R@1"][1] - together["R@1"][0]
    assert (apart["R@1"][1] - apart["R@1"][0]) / width == pytest.approx(1 / np.sqrt(10), rel=0.2)


def test_ties_enter_by_their_expectation() -> None:
    counts = rank_counts(np.zeros((50, 4)), [0] * 50)
    intervals = bootstrap_intervals(counts, ks=(1,), resamples=20)
    for name, expected in {"R@1": 25.0, "MnR": 2.5, "MdR": 2.5, "MRR": (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4}.items():
        assert intervals[name] == pytest.approx((expected, expected)), name


def test_bad_arguments_are_named() -> None:
    counts = counts_of_ranks(np.array([1, 2]), 2)
    with pytest.raises(ValueError, match="clusters must label 2 queries"):
        bootstrap_intervals(counts, clusters=[0])
    with pytest.raises(ValueError, match="confidence lies between 0 and 1"):
        bootstrap_intervals(counts, confidence=1.0)
    with pytest.raises(ValueError, match="no query"):
        bootstrap_intervals(counts.select([]))
