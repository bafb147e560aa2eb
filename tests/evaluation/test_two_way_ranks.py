from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from video_colbert.evaluation.dual_softmax import dual_softmax
from video_colbert.evaluation.metrics import metrics_from_counts, text_to_video_metrics, video_to_text_metrics
from video_colbert.evaluation.two_way_ranks import two_way_rank_counts


def blocks_of(scores: torch.Tensor) -> Callable[[torch.Tensor, slice], dict[str, torch.Tensor]]:
    return lambda rows, columns: {"level": scores[rows][:, columns]}


def random_case(seed: int) -> tuple[torch.Tensor, list[int]]:
    """Tied scores of 60 texts, in no order, with 23 videos of which one has none."""
    generator = np.random.default_rng(seed)
    positives = [*range(22), *generator.integers(0, 22, 38)]
    generator.shuffle(positives)
    return torch.from_numpy(generator.integers(0, 12, (60, 23)) / 4).float(), [int(place) for place in positives]


@pytest.mark.parametrize(("texts", "videos"), [(1, 1), (7, 5), (13, 23), (500, 500)])
@pytest.mark.parametrize("ties", ["expected", "optimistic", "clip4clip_multi_sentence"])
def test_any_cut_into_blocks_gives_the_metrics_of_the_full_matrix(texts: int, videos: int, ties: str) -> None:
    scores, positives = random_case(seed=4)
    counts = two_way_rank_counts(blocks_of(scores), positives, 23, texts_per_block=texts, videos_per_block=videos)
    found = counts["level"]
    assert metrics_from_counts(found.text_to_video, ties=ties) == text_to_video_metrics(scores, positives, ties=ties)
    with_text = scores[:, :22]
    if ties == "clip4clip_multi_sentence":
        # A set of texts a video: the column without a text asks nothing and has no set.
        backwards = metrics_from_counts(found.video_to_text_sets, ties="clip4clip")
    else:
        backwards = metrics_from_counts(found.video_to_text, ties=ties)
    assert backwards == video_to_text_metrics(with_text, positives, ties=ties)
    assert found.asking.tolist() == list(range(22))


def test_counts_of_texts_are_in_the_order_given() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.3], [0.9, 0.2, 0.3], [0.4, 0.8, 0.6]])
    counts = two_way_rank_counts(blocks_of(scores), [0, 2, 1], 3)["level"].text_to_video
    assert counts.better.tolist() == [2, 1, 0]


@pytest.mark.parametrize("texts_per_block", [4, 100])
def test_dual_softmax_in_blocks_ranks_as_the_full_matrix(texts_per_block: int) -> None:
    generator = torch.Generator().manual_seed(2)
    scores = torch.rand(30, 20, generator=generator) / 2
    positives = [place % 20 for place in range(30)]
    counts = two_way_rank_counts(
        blocks_of(scores),
        positives,
        20,
        dual_softmax_scale=40.0,
        texts_per_block=texts_per_block,
        videos_per_block=6,
    )["level"]
    forward, backward = dual_softmax(scores, scale=40.0), dual_softmax(scores.T, scale=40.0).T
    assert metrics_from_counts(counts.text_to_video) == text_to_video_metrics(forward, positives)
    assert metrics_from_counts(counts.video_to_text) == video_to_text_metrics(backward, positives)
    assert metrics_from_counts(counts.text_to_video) != text_to_video_metrics(scores, positives)


def test_distribution_counts_every_pair_once_in_the_bin_of_its_score() -> None:
    scores, positives = random_case(seed=1)
    found = two_way_rank_counts(
        blocks_of(scores), positives, 23, with_distribution=True, texts_per_block=9, videos_per_block=4
    )["level"].distribution
    assert found is not None
    right = scores[torch.arange(60), positives]
    mask = torch.zeros(60, 23, dtype=torch.bool)
    mask[torch.arange(60), positives] = True
    for counts, values in ((found.positives, right), (found.negatives, scores[~mask])):
        assert counts.sum() == len(values)
        middle = (found.edges[:-1] + found.edges[1:]) / 2
        width = found.edges[1] - found.edges[0]
        assert counts @ middle / counts.sum() == pytest.approx(float(values.mean()), abs=width)


@pytest.mark.parametrize(
    ("positives", "message"),
    [([], "no query"), ([0, 5], "positive 5 of query 1 is outside"), ([0, -1], "positive -1 of query 1")],
)
def test_bad_positives_are_named(positives: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        two_way_rank_counts(blocks_of(torch.zeros(2, 3)), positives, 3)


def test_scores_that_are_no_numbers_are_refused() -> None:
    scores = torch.tensor([[0.1, float("nan")], [0.2, 0.3]])
    with pytest.raises(ValueError, match="query 0 hold NaN"):
        two_way_rank_counts(blocks_of(scores), [0, 1], 2)
