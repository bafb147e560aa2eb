from __future__ import annotations

import math

import pytest
import torch

from video_colbert.evaluation.dual_softmax import DualSoftmaxPrior, dual_softmax


def test_each_score_is_multiplied_with_its_share_among_the_queries() -> None:
    scores = [[0.2, 0.1], [0.3, 0.5], [0.1, 0.4]]
    expected = [
        [
            scores[q][v] * math.exp(10 * scores[q][v]) / sum(math.exp(10 * scores[p][v]) for p in range(3))
            for v in range(2)
        ]
        for q in range(3)
    ]
    assert dual_softmax(torch.tensor(scores), scale=10.0).tolist() == [
        pytest.approx(row, rel=1e-5) for row in expected
    ]


def test_blocks_give_the_scores_of_the_full_matrix() -> None:
    scores = torch.rand(7, 9, generator=torch.Generator().manual_seed(0)) * 2 - 1
    prior = DualSoftmaxPrior(9)
    blocks = [(slice(q, q + 3), slice(v, v + 4)) for q in range(0, 7, 3) for v in range(0, 9, 4)]
    for rows, columns in blocks:
        prior.update(scores[rows, columns], columns)
    full = dual_softmax(scores)
    for rows, columns in blocks:
        torch.testing.assert_close(prior.reweight(scores[rows, columns], columns), full[rows, columns])


def test_a_video_that_every_query_likes_is_held_down() -> None:
    # Video 0 scores best for both queries, but hardly tells them apart.
    scores = torch.tensor([[0.50, 0.30], [0.51, 0.45]])
    assert scores.argmax(dim=1).tolist() == [0, 0]
    assert dual_softmax(scores).argmax(dim=1).tolist() == [0, 1]


def test_an_empty_video_stays_last() -> None:
    scores = torch.tensor([[0.5, float("-inf")], [0.4, float("-inf")]])
    assert dual_softmax(scores)[:, 1].tolist() == [float("-inf")] * 2
