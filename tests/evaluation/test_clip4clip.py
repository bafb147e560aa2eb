"""Expected values are worked out by hand from what the published harness does, in the comments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from video_colbert.evaluation.metrics import RankAccumulator, text_to_video_metrics, video_to_text_metrics


def test_half_the_rows_tied_in_pairs_at_the_top_hit_in_four_of_six_listed_positions() -> None:
    scores = torch.eye(4)
    scores[0, 1] = scores[2, 3] = 1.0
    # Positions with the positive's score, row by row: 0 1 | 0 | 0 1 | 0. Four of the six are 0.
    metrics = text_to_video_metrics(scores, [0, 1, 2, 3], ks=(1, 2), ties="clip4clip")
    assert metrics.hit_rate[1] == pytest.approx(400 / 6)
    assert metrics.hit_rate[2] == pytest.approx(100)
    assert metrics.median_rank == 1.0  # of 0 0 0 0 1 1
    assert metrics.mean_rank == pytest.approx(1 + 2 / 6)
    # Columns: 0: (1 0 0 0), 1: (1 1 0 0), 2: (0 0 1 0), 3: (0 0 1 1) list 0 | 0 1 | 0 | 0 1.
    assert video_to_text_metrics(scores, [0, 1, 2, 3], ties="clip4clip").hit_rate[1] == pytest.approx(400 / 6)


def test_constant_scores_list_every_position_once_a_query() -> None:
    metrics = text_to_video_metrics(torch.zeros(5, 5), list(range(5)), ties="clip4clip")
    assert metrics.hit_rate[1] == pytest.approx(20)
    assert metrics.hit_rate[5] == pytest.approx(100)
    assert metrics.median_rank == 3.0
    assert metrics.mean_rank == pytest.approx(3.0)


def test_a_wide_tie_of_a_single_query_weighs_more_than_a_clear_hit() -> None:
    # Row 0 lists 0; row 1 has its positive at 0.5 below one item, tied with one: 1 2; row 2 is last: 2.
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.5, 0.5], [0.7, 0.6, 0.1]])
    metrics = text_to_video_metrics(scores, [0, 1, 2], ks=(1, 2), ties="clip4clip")
    assert metrics.hit_rate == {1: pytest.approx(25.0), 2: pytest.approx(50.0)}
    assert metrics.median_rank == pytest.approx(2.5)  # of 0 1 2 2: (1 + 2) / 2, plus 1
    assert metrics.mean_rank == pytest.approx(1 + 5 / 4)


SCORES = torch.tensor(
    # Two texts of video 0, three of video 1, one of video 2.
    [[0.5, 0.5, 0.1], [0.2, 0.9, 0.3], [0.4, 0.4, 0.4], [0.1, 0.6, 0.5], [0.7, 0.7, 0.2], [0.3, 0.3, 0.3]]
)
VIDEOS = [0, 0, 1, 1, 1, 2]


def test_several_captions_text_to_video_sorts_ties_by_place_and_takes_the_lower_median() -> None:
    # Places of the positive after a stable descending sort:
    # text 0: tie of videos 0 and 1, video 0 first: 0.   text 1: 1 and 2 are above: 2.
    # text 2: all tied, video 1 second: 1.               text 3: video 1 first: 0.
    # text 4: tie of 0 and 1, video 1 second: 1.         text 5: all tied, video 2 third: 2.
    metrics = text_to_video_metrics(SCORES, VIDEOS, ks=(1, 2), ties="clip4clip_multi_sentence")
    assert metrics.hit_rate == {1: pytest.approx(100 * 2 / 6), 2: pytest.approx(100 * 4 / 6)}
    assert metrics.median_rank == 2.0  # of 0 0 1 1 2 2: the lower of the middle two, 1, plus 1
    assert metrics.mean_rank == pytest.approx(1 + 6 / 6)
    # An even number of queries whose middle two differ: places 0 and 2.
    two = text_to_video_metrics(SCORES[[0, 1]], [0, 0], ties="clip4clip_multi_sentence")
    assert two.median_rank == 1.0
    assert text_to_video_metrics(SCORES[[0, 1]], [0, 0], ties="optimistic").median_rank == 2.0


def test_several_captions_video_to_text_ranks_sets_of_captions_by_their_best() -> None:
    # Best caption of each set, by video:  video 0: 0.5 0.7 0.3,  video 1: 0.9 0.7 0.3,  video 2: 0.3 0.5 0.3.
    # Video 0's own set, 0.5, is second: 1.  Video 1's, 0.7, is second: 1.
    # Video 2's, 0.3, stands below one and is tied with set 0: 1 2.
    metrics = video_to_text_metrics(SCORES, VIDEOS, ks=(1, 2), ties="clip4clip_multi_sentence")
    assert metrics.hit_rate == {1: pytest.approx(0), 2: pytest.approx(75)}
    assert metrics.median_rank == 2.0
    assert metrics.mean_rank == pytest.approx(1 + 5 / 4)
    assert metrics.gallery == 3


def test_blocks_of_queries_count_as_the_full_matrix_does() -> None:
    for ties in ("clip4clip", "clip4clip_multi_sentence"):
        accumulator = RankAccumulator()
        for text, video in enumerate(VIDEOS):
            accumulator.update(SCORES[text : text + 1], [video])
        assert accumulator.compute(ties=ties) == text_to_video_metrics(SCORES, VIDEOS, ties=ties)


def test_untied_scores_give_the_usual_metrics_but_for_the_lower_median() -> None:
    scores = np.random.default_rng(0).permutation(900).reshape(30, 30).astype(float)
    usual = text_to_video_metrics(scores, list(range(30))).as_dict()
    assert text_to_video_metrics(scores, list(range(30)), ties="clip4clip").as_dict() == pytest.approx(usual)
    other = text_to_video_metrics(scores, list(range(30)), ties="clip4clip_multi_sentence").as_dict()
    assert {**other, "MdR": usual["MdR"]} == pytest.approx(usual)


def test_what_the_harness_cannot_count_is_refused() -> None:
    with pytest.raises(ValueError, match="one positive a query; query 0 has several"):
        text_to_video_metrics(torch.zeros(1, 3), [[0, 1]], ties="clip4clip")
    with pytest.raises(ValueError, match="one video for each text and a text for each video"):
        video_to_text_metrics(torch.zeros(2, 3), [0, 1], ties="clip4clip_multi_sentence")
