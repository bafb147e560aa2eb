import numpy as np
import pytest
import torch
from scipy.stats import nbinom

from video_colbert.evaluation.robustness.promoted_ranks import rank_figures, rank_in_large_index, ranks_among


def test_a_rank_counts_what_scores_higher_and_half_of_the_ties() -> None:
    gallery = torch.tensor([[0.1, 0.5, 0.3, 0.3], [0.9, 0.9, 0.9, float("-inf")]])
    assert ranks_among(torch.tensor([0.3, 0.95]), gallery).tolist() == [3.0, 1.0]


def test_figures_are_those_of_the_ranks() -> None:
    figures = rank_figures(np.array([1.0, 2.0, 6.0, 200.0]))
    assert (figures.median, figures.mean, figures.num_queries) == (4.0, 52.25, 4)
    assert figures.shares == {1: 25.0, 5: 50.0, 10: 75.0}
    with pytest.raises(ValueError, match="no query"):
        rank_figures(np.zeros(0))


def test_the_chance_of_a_top_is_that_of_a_negative_binomial_distribution() -> None:
    better, size, index = np.array([0, 3]), 4000, 100_000
    found = rank_in_large_index(better, size, index)
    for top, share in found.shares.items():
        chances = [nbinom.cdf(top - 1 - k, k + 0.5, size / index) if k < top else 0.0 for k in better]
        assert share == pytest.approx(100 * np.mean(chances), abs=0.06)
    assert found.above_sample == 50.0
    assert found.median == pytest.approx(np.median([1 + k + (index - size) * (k + 0.5) / size for k in better]))


def test_ranks_in_a_large_index_are_estimated_without_bias_from_samples_of_it() -> None:
    rng = np.random.default_rng(0)
    index = rng.normal(size=200_000)
    score = np.quantile(index, 0.999)
    true_rank = 1 + int((index > score).sum())
    estimates = []
    for _ in range(200):
        better = int((rng.choice(index, 5000, replace=False) > score).sum())
        estimates.append(rank_in_large_index(np.array([better]), 5000, len(index)).median)
    # The prior's half a video adds half a video in 5,000.
    assert np.mean(estimates) == pytest.approx(true_rank + 0.5 * len(index) / 5000, rel=0.1)


def test_an_index_that_is_the_sample_is_counted() -> None:
    found = rank_in_large_index(np.array([0, 4, 11]), 200, 200)
    assert found.median == 5.0
    assert found.shares == {1: 33.3, 5: 66.7, 10: 66.7}
    with pytest.raises(ValueError, match="1 to 100"):
        rank_in_large_index(np.array([0]), 200, 100)
