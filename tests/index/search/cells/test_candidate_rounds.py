from __future__ import annotations

import pytest
import torch
from torch import Tensor

from video_colbert.index.search.cells.candidate_rounds import CandidateRounds, Candidates
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


def shuffled(predicted: Tensor) -> Candidates:
    order = torch.randperm(len(predicted), generator=torch.Generator().manual_seed(3))
    return Candidates(order, predicted[order])


def searched(parts: list[Scored], predicted: Tensor, most: int = VIDEOS) -> tuple[Tensor, float, float]:
    """The rows that were found, the share of the best among them, and what must be predicted of others."""
    scores = torch.stack([part.scores for part in parts]).sum(dim=0)
    rounds = CandidateRounds(parts, COUNT)
    least = rounds.score_all(shuffled(predicted), most)
    rows, found = rounds.found()
    assert torch.equal(rows, rows.unique())
    torch.testing.assert_close(found.scores[0], scores[rows])
    best = set(scores.topk(COUNT).indices.tolist())
    return rows, len(best & set(rows.tolist())) / COUNT, least


def made(error: float, seed: int) -> tuple[Tensor, Tensor]:
    """Scores, and what is predicted of them with an error, on another scale with another zero."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(VIDEOS, generator=generator)
    return scores, 3.0 * (scores + error * torch.randn(VIDEOS, generator=generator)) - 7.0


@pytest.mark.parametrize("error", [0.0, 0.1, 0.3, 0.6])
def test_the_best_are_scored_and_more_videos_only_where_they_are_predicted_worse(error: float) -> None:
    recalls, numbers = [], []
    for seed in range(20):
        scores, predicted = made(error, seed)
        scored = Scored(scores)
        rows, recall, least = searched([scored], predicted)
        # Those that were scored are the ones with the best predictions.
        assert set(rows.tolist()) == set(predicted.topk(len(rows)).indices.tolist())
        assert predicted.topk(len(rows) + 1).values[-1] < least
        recalls.append(recall)
        numbers.append(sum(scored.asked))
    assert sum(recalls) / len(recalls) >= 0.99
    # As many as an error of this size moves from below the tenth best to where they are: by a normal law that is
    # under 20 for the first two, some hundreds for 0.3 and a thousand and more for 0.6.
    low, high = {0.0: (512, 512), 0.1: (512, 512), 0.3: (512, 4000), 0.6: (1000, 16_000)}[error]
    assert low <= min(numbers) <= max(numbers) <= high


@pytest.mark.parametrize("telling", [0, 1])
def test_of_candidates_that_one_part_shows_to_be_hopeless_the_other_is_not_computed(telling: int) -> None:
    recalls, of_first, of_other = [], 0, 0
    for seed in range(20):
        scores, predicted = made(0.6, seed)
        # One part says nearly all of what is not predicted.
        rest = 0.1 * torch.randn(VIDEOS, generator=torch.Generator().manual_seed(100 + seed))
        parts = [Scored(scores - rest), Scored(rest)]
        rows, recall, _ = searched(parts if telling == 0 else parts[::-1], predicted)
        recalls.append(recall)
        of_first += sum(parts[0].asked)
        of_other += sum(parts[1].asked)
        assert sum(parts[1].asked) == len(rows)
    assert sum(recalls) / len(recalls) >= 0.99
    assert of_other < of_first / 2


def test_both_parts_are_computed_where_neither_tells_of_the_score() -> None:
    generator = torch.Generator().manual_seed(0)
    same = torch.randn(VIDEOS, generator=generator)
    parts = [Scored(same + 2.0 * torch.randn(VIDEOS, generator=generator)) for _ in range(2)]
    _, recall, _ = searched(parts, same)
    assert recall == 1.0


def test_videos_that_lack_a_part_are_scored_by_the_other() -> None:
    scores, predicted = made(0.3, 0)
    half = scores / 2
    first = torch.where(torch.arange(VIDEOS) % 3 == 0, float("-inf"), half)
    parts = [Scored(first), Scored(half)]
    rounds = CandidateRounds(parts, COUNT)
    rounds.score_all(shuffled(predicted), VIDEOS)
    rows, found = rounds.found()
    expected = torch.where(rows % 3 == 0, half[rows], scores[rows])
    torch.testing.assert_close(found.scores[0], expected)
    total = torch.where(torch.arange(VIDEOS) % 3 == 0, half, scores)
    assert set(total.topk(COUNT).indices.tolist()) <= set(rows.tolist())


def test_no_more_are_looked_at_than_may_be() -> None:
    scores, predicted = made(0.6, 0)
    parts = [Scored(scores / 2), Scored(scores / 2)]
    searched(parts, predicted, most=700)
    assert [max(sum(part.asked) for part in parts), parts[0].asked[0], parts[1].asked[0]] == [700, 512, 512]


def test_all_are_scored_where_nothing_can_be_told() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, predicted = torch.randn(VIDEOS, generator=generator), torch.randn(VIDEOS, generator=generator)
    scored = Scored(scores)
    searched([scored], predicted)
    assert sum(scored.asked) > 0.99 * VIDEOS
    none = [Scored(torch.full((VIDEOS,), float("-inf"))) for _ in range(2)]
    searched(none, predicted)
    assert sum(none[0].asked) == VIDEOS


def test_few_candidates_are_scored_at_once() -> None:
    parts = [Scored(torch.randn(40)), Scored(torch.randn(40))]
    rows, _, _ = searched(parts, torch.randn(40))
    assert rows.tolist() == list(range(40))
    assert [part.asked for part in parts] == [[40], [40]]


def test_videos_without_tokens_say_nothing_of_the_error() -> None:
    predicted = torch.linspace(1.0, 0.0, 600)
    scores = 2.0 * predicted - 1.0
    scores[::3] = float("-inf")
    # Scores are predicted without an error, so it is that of the tenth of those with tokens.
    assert searched([Scored(scores)], predicted)[2] == pytest.approx(float(predicted[14]), abs=1e-5)
    assert searched([Scored(scores[:15])], predicted[:15])[2] == float("-inf")


@pytest.mark.parametrize("copies", [300, 500, 600])
@pytest.mark.parametrize("number_of_parts", [1, 2])
def test_many_copies_of_one_video_do_not_hide_better_ones_that_are_predicted_worse(
    copies: int, number_of_parts: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted = torch.cat([torch.full((copies,), 1.1), torch.linspace(0.999, 0.0, 5000)])
    scores = 0.3 + predicted / 2 + torch.cat([torch.zeros(copies), 0.1 * torch.randn(5000, generator=generator)])
    parts = [Scored(scores / number_of_parts) for _ in range(number_of_parts)]
    assert searched(parts, predicted)[1] == 1.0
