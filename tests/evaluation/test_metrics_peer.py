"""The metrics beside `ranx`, which evaluates rankings, and beside a loop, on queries with several positives."""

from __future__ import annotations

import numpy as np
import pytest

from video_colbert.evaluation.graded_metrics import mean_ndcg
from video_colbert.evaluation.metrics import text_to_video_metrics, video_to_text_metrics


def random_positives(generator: np.random.Generator, queries: int, gallery: int) -> np.ndarray:
    mask = np.zeros((queries, gallery), dtype=bool)
    for row in mask:
        row[generator.choice(gallery, generator.integers(1, 6), replace=False)] = True
    return mask


def ranx_metrics(scores: np.ndarray, positives: np.ndarray) -> dict[str, float]:
    from ranx import Qrels, Run, evaluate

    relevant = {f"q{row}": {f"d{column}": 1 for column in np.flatnonzero(mask)} for row, mask in enumerate(positives)}
    found = {
        f"q{row}": {f"d{column}": float(score) for column, score in enumerate(values)}
        for row, values in enumerate(scores)
    }
    names = ["hit_rate@1", "hit_rate@5", "hit_rate@10", "mrr"]
    figures = evaluate(Qrels(relevant), Run(found), names)
    return {"MRR": figures["mrr"], **{f"R@{k}": 100 * figures[f"hit_rate@{k}"] for k in (1, 5, 10)}}


@pytest.mark.slow  # ranx compiles itself, half a minute a process
@pytest.mark.parametrize("seed", range(3))
def test_hit_rate_and_mrr_of_both_directions_equal_ranx_with_several_positives(seed: int) -> None:
    generator = np.random.default_rng(seed)
    positives = random_positives(generator, 60, 40)
    positives[generator.integers(60, size=40), np.arange(40)] = True  # a text for each video
    scores = generator.permutation(60 * 40).reshape(60, 40) / 7.0
    for ours, matrix, mask in (
        (text_to_video_metrics(scores, positives), scores, positives),
        (video_to_text_metrics(scores, positives), scores.T, positives.T),
    ):
        for name, value in ranx_metrics(matrix, mask).items():
            assert ours.as_dict()[name] == pytest.approx(value, abs=1e-9), name


@pytest.mark.slow  # as above
def test_ndcg_equals_ranx_where_nothing_is_tied() -> None:
    from ranx import Qrels, Run, evaluate

    generator = np.random.default_rng(0)
    grades = {f"q{row}": {f"d{n}": int(generator.integers(4)) for n in range(30)} for row in range(20)}
    found = {query: {f"d{n}": float(score) for n, score in enumerate(generator.random(40))} for query in grades}
    judgements = {query: {video: grade for video, grade in of.items() if grade} for query, of in grades.items()}
    rankings = {query: list(scores.items()) for query, scores in found.items()}
    for name, gain in (("ndcg@10", "linear"), ("ndcg_burges@10", "exponential")):
        expected = evaluate(Qrels(judgements), Run(found), name)
        assert mean_ndcg(rankings, judgements, gain=gain) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_with_ties_equal_a_loop_over_every_place_of_the_first_positive(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, positives = generator.integers(0, 8, (50, 30)) / 3, random_positives(generator, 50, 30)
    totals = dict.fromkeys(("R@1", "R@5", "R@10", "MnR", "MRR"), 0.0)
    for row, mask in zip(scores, positives, strict=True):
        best = max(score for score, right in zip(row, mask, strict=True) if right)
        above = sum(score > best for score in row)
        tied = [bool(right) for score, right in zip(row, mask, strict=True) if score == best]
        undecided = 1.0
        for place in range(len(tied)):
            # The items before this place were all negatives; the next of those left is a positive.
            right, left = sum(tied), len(tied) - place
            chance, rank = undecided * right / left, above + place + 1
            undecided *= max(left - right, 0) / left
            totals["MnR"] += chance * rank / 50
            totals["MRR"] += chance / rank / 50
            for k in (1, 5, 10):
                totals[f"R@{k}"] += 100 * chance * (rank <= k) / 50
    metrics = text_to_video_metrics(scores, positives).as_dict()
    assert {name: metrics[name] for name in totals} == pytest.approx(totals, abs=1e-9)
