from __future__ import annotations

import pytest
import torch
from torch import Tensor

from video_colbert.index.search.cells.candidate_rounds import (
    RankedCandidates,
    least_predicted,
    score_in_rounds,
)
from video_colbert.index.search.scoring import BoundedScores

VIDEOS, COUNT = 20_000, 10


class Scored:
    """Scores of rows, and how many were asked for each time."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores
        self.asked: list[int] = []

    def __call__(self, rows: Tensor) -> BoundedScores:
        self.asked.append(len(rows))
        none = torch.zeros(1, len(rows))
        return BoundedScores(self.scores[rows][None], none, none)


def ranked(predicted: Tensor) -> RankedCandidates:
    order = predicted.sort(descending=True)
    return RankedCandidates(order.indices, order.values)


def searched(error: float, seed: int) -> tuple[Scored, float]:
    """Scores that are predicted with an error, and the share of the best that was found."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(VIDEOS, generator=generator)
    # What is predicted has another scale and another zero than the scores.
    predicted = 3.0 * (scores + error * torch.randn(VIDEOS, generator=generator)) - 7.0
    scored = Scored(scores)
    candidates = ranked(predicted)
    found = score_in_rounds(candidates, scored, COUNT)
    assert torch.equal(found.rows, candidates.rows[: len(found.rows)])
    assert torch.equal(found.scores.scores[0], scores[found.rows])
    assert (candidates.predicted[len(found.rows) :] < found.least).all()
    best = set(scores.topk(COUNT).indices.tolist())
    return scored, len(best & set(found.rows.tolist())) / COUNT


@pytest.mark.parametrize("error", [0.0, 0.1, 0.3, 0.6])
def test_the_best_are_scored_and_more_videos_only_where_they_are_predicted_worse(error: float) -> None:
    found = [searched(error, seed) for seed in range(20)]
    assert sum(recall for _, recall in found) / len(found) >= 0.99
    numbers = sorted(sum(scored.asked) for scored, _ in found)
    # As many as an error of this size moves from below the tenth best to where they are: by a normal law that is
    # under 20 for the first two, some hundreds for 0.3 and a thousand and more for 0.6.
    low, high = {0.0: (512, 512), 0.1: (512, 512), 0.3: (512, 4000), 0.6: (1000, 16_000)}[error]
    assert low <= numbers[0] <= numbers[-1] <= high


def test_all_are_scored_where_nothing_can_be_told() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, predicted = torch.randn(VIDEOS, generator=generator), torch.randn(VIDEOS, generator=generator)
    scored = Scored(scores)
    score_in_rounds(ranked(predicted), scored, COUNT)
    assert sum(scored.asked) > 0.99 * VIDEOS
    no_tokens = Scored(torch.full((VIDEOS,), float("-inf")))
    score_in_rounds(ranked(predicted), no_tokens, COUNT)
    assert sum(no_tokens.asked) == VIDEOS


def test_few_candidates_are_scored_at_once() -> None:
    scored = Scored(torch.randn(40))
    found = score_in_rounds(ranked(torch.randn(40)), scored, COUNT)
    assert sorted(found.rows.tolist()) == list(range(40))
    assert scored.asked == [40]


def test_videos_without_tokens_say_nothing_of_the_error() -> None:
    predicted = torch.linspace(1.0, 0.0, 600)
    scores = 2.0 * predicted - 1.0
    scores[::3] = float("-inf")
    # Scores are predicted without an error, so it is that of the tenth of those with tokens.
    assert least_predicted(predicted, scores, COUNT) == pytest.approx(float(predicted[14]), abs=1e-5)
    assert least_predicted(predicted[:15], scores[:15], COUNT) == float("-inf")


@pytest.mark.parametrize("copies", [300, 500, 600])
def test_many_copies_of_one_video_do_not_hide_better_ones_that_are_predicted_worse(copies: int) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted = torch.cat([torch.full((copies,), 1.1), torch.linspace(0.999, 0.0, 5000)])
    scores = 0.3 + predicted / 2 + torch.cat([torch.zeros(copies), 0.1 * torch.randn(5000, generator=generator)])
    scored = Scored(scores)
    found = score_in_rounds(RankedCandidates(torch.arange(copies + 5000), predicted), scored, COUNT)
    assert set(scores.topk(COUNT).indices.tolist()) <= set(found.rows.tolist())
