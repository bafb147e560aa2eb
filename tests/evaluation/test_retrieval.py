from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.accelerators import DEVICES
from tests.evaluation.synthetic_splits import random_split
from video_colbert.evaluation.metrics import text_to_video_metrics, video_to_text_metrics
from video_colbert.evaluation.retrieval import evaluate_split, rank_split


def test_figures_of_a_split_are_those_of_a_loop_over_pairs_of_tokens() -> None:
    split = random_split(17, 40, query_tokens=5, frame_tokens=3, video_tokens=4, width=8)
    query = split.queries.bags_of("frame").embeds.double().numpy()
    levels = {}
    for level, gallery in split.levels.items():
        tokens = gallery.embeds.double().numpy()
        levels[level] = np.array([[(q @ v.T).max(axis=1).mean() for v in tokens] for q in query])
    levels["sum"] = levels["frame"] + levels["video"]
    results = evaluate_split(split, dataset="random", split_name="test")
    assert [(result.level, result.direction) for result in results] == [
        (level, direction) for level in levels for direction in ("text_to_video", "video_to_text")
    ]
    for result in results:
        metrics = text_to_video_metrics if result.direction == "text_to_video" else video_to_text_metrics
        assert result.metrics == pytest.approx(metrics(levels[result.level], split.positives).as_dict())


@pytest.mark.parametrize("device", DEVICES)
def test_scores_are_computed_where_the_queries_are(device: str) -> None:
    split = random_split(30, 50, query_tokens=5, frame_tokens=3, video_tokens=4, width=8)
    there = replace(split, queries=split.queries.to(device))
    for level, scores in there.level_scores().items():
        assert scores.device.type == device
        assert scores.cpu().numpy() == pytest.approx(split.level_scores()[level].numpy(), abs=1e-6)
    for dual_softmax in (False, True):
        found, expected = (
            rank_split(one, dual_softmax=dual_softmax, with_distribution=True) for one in (there, split)
        )
        for level, counts in expected.items():
            assert counts.text_to_video.better.tolist() == found[level].text_to_video.better.tolist()
            assert counts.video_to_text.better.tolist() == found[level].video_to_text.better.tolist()


def test_weights_of_levels_change_the_sum_and_no_level() -> None:
    split = random_split(11, 20, query_tokens=5, frame_tokens=3, video_tokens=4, width=8)
    plain = split.level_scores()
    weighted = replace(split, queries=split.queries.with_level_weights({"frame": 0.25, "video": 2.0})).level_scores()
    for level in ("frame", "video"):
        assert torch.equal(weighted[level], plain[level])
    expected = 0.25 * plain["frame"].double() + 2.0 * plain["video"].double()
    assert weighted["sum"].numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_intervals_hold_the_figures_and_draw_whole_videos() -> None:
    split = random_split(10, 60, query_tokens=4, width=4)
    for result in evaluate_split(split, dataset="random", split_name="test", confidence_intervals=True):
        assert result.confidence_intervals is not None
        for name, (low, high) in result.confidence_intervals.items():
            assert low <= result.metrics[name] <= high


def test_dual_softmax_and_other_tie_rules_are_labelled() -> None:
    split = random_split(10, 20, query_tokens=4, width=4)
    plain = evaluate_split(split, dataset="random", split_name="test")
    weighted = evaluate_split(split, dataset="random", split_name="test", dual_softmax=True)
    assert {result.reweighting for result in plain} == {None}
    assert {result.reweighting for result in weighted} == {"dual_softmax"}
    assert [result.metrics for result in plain] != [result.metrics for result in weighted]
    sets = evaluate_split(split, dataset="random", split_name="test", ties="clip4clip_multi_sentence")
    assert {result.ties for result in sets} == {"clip4clip_multi_sentence"}
    with pytest.raises(ValueError, match="computed with ties='expected'"):
        evaluate_split(split, dataset="r", split_name="test", ties="clip4clip", confidence_intervals=True)
