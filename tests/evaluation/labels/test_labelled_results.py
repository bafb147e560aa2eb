from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.evaluation.synthetic_splits import random_split
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.evaluation.dual_softmax import dual_softmax as reweighted
from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.labels.labelled_results import with_labelled_figures
from video_colbert.evaluation.labels.query_labels import query_labels
from video_colbert.evaluation.labels.split_rankings import chosen_sources, ndcg_by_level
from video_colbert.evaluation.retrieval import evaluate_split, rank_split

SPLIT = random_split(7, 14, query_tokens=3, frame_tokens=2, video_tokens=2, width=4)


def split_of_sources(level_scoring: str) -> EncodedSplit:
    """The same with a level of speech, which videos 1 and 4 lack."""
    speech = random_split(7, 14, query_tokens=3, frame_tokens=2, video_tokens=2, width=4, seed=1).levels["frame"]
    speech.mask[[1, 4]] = False
    levels = {**SPLIT.levels, "speech": speech}
    bags = SPLIT.queries.bags_of("frame")
    queries = EncodedQueries.of_one_encoder(SPLIT.queries.texts, bags, list(levels), level_scoring=level_scoring)
    return replace(SPLIT, levels=levels, queries=queries)


def rows_of(split: EncodedSplit, **columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of the gallery whose captions are the split's, with further columns by caption."""
    rows = []
    for video in range(len(split.video_ids)):
        captions = [number for number, place in enumerate(split.positives) if place == video]
        own: dict[str, Any] = {name: [values[number] for number in captions] for name, values in columns.items()}
        rows.append({"captions": [split.queries.texts[number] for number in captions], **own})
    return rows


def in_row_order(split: EncodedSplit) -> EncodedSplit:
    """The split with its captions in the order of their videos, as `encode_split` has them."""
    order = sorted(range(len(split.positives)), key=lambda number: split.positives[number])
    bags = split.queries.bags_of("frame")
    texts = [split.queries.texts[number] for number in order]
    ordered = replace(bags, embeds=bags.embeds[order], mask=bags.mask[order], words=[[] for _ in order])
    queries = EncodedQueries.of_one_encoder(
        texts, ordered, list(split.levels), level_scoring=split.queries.level_scoring
    )
    return replace(split, queries=queries, positives=[split.positives[number] for number in order])


def mean_over_orders(scores: np.ndarray, grades: Mapping[int, float], k: int) -> float:
    """nDCG@k as the mean over all orders that the scores allow."""
    discounts = 1 / np.log2(np.arange(2, len(scores) + 2))
    discounts[k:] = 0.0
    gains = np.array([grades.get(video, 0.0) for video in range(len(scores))])
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[before] >= scores[after] for before, after in itertools.pairwise(order))
    ]
    return float(np.mean([gains[list(order)] @ discounts for order in orders]) / (np.sort(gains)[::-1] @ discounts))


@pytest.mark.parametrize("dual_softmax", [False, True])
def test_ndcg_of_graded_judgements_is_the_mean_over_all_orders_of_ties(dual_softmax: bool) -> None:
    split = in_row_order(SPLIT)
    # Videos 2, 3 and 5 are the same.
    for level in split.levels.values():
        level.embeds[[3, 5]] = level.embeds[2].clone()
    ids = [f"q{number % 5}" for number in range(14)]
    relevance = [1 + number % 3 for number in range(14)]
    labels = query_labels(rows_of(split, query_ids=ids, relevance=relevance))
    grades: dict[str, dict[int, float]] = {}
    for number, video in enumerate(split.positives):
        grades.setdefault(ids[number], {})[video] = relevance[number]
    assert {name: query.relevance for name, query in zip(grades, labels.judged, strict=True)} == grades
    found = ndcg_by_level(split, labels.judged, k=3, dual_softmax=dual_softmax)
    for level, scores in split.level_scores().items():
        table = (reweighted(scores) if dual_softmax else scores).numpy()
        values = [mean_over_orders(table[ids.index(name)], of_query, 3) for name, of_query in grades.items()]
        assert found[level] == pytest.approx(np.mean(values), abs=1e-9), level


@pytest.mark.parametrize("level_scoring", ["sum", "modality_max", "token_max"])
def test_the_chosen_source_is_that_of_the_best_level_of_the_first_hit(level_scoring: str) -> None:
    split = in_row_order(split_of_sources(level_scoring))
    scores = split.level_scores()
    expected = []
    for query, first in enumerate(scores["sum"].argmax(dim=1).tolist()):
        parts = {level: float(scores[level][query, first]) for level in ("frame", "video", "speech")}
        best = max(parts, key=lambda level: parts[level])
        expected.append("speech" if best == "speech" else "video")
    assert chosen_sources(split) == expected
    assert set(expected) == {"speech", "video"}


def test_figures_by_answering_source_are_those_of_its_queries_alone() -> None:
    split = in_row_order(split_of_sources("modality_max"))
    answering = ["subtitles" if number % 3 else "video" for number in range(14)]
    ranks = rank_split(split)
    results = evaluate_split(split, dataset="spoken", split_name="test", ranks=ranks)
    labelled = with_labelled_figures(results, split, ranks, query_labels(rows_of(split, sources=answering)))
    chosen = chosen_sources(split)
    assert chosen is not None
    for result in labelled:
        if result.direction == "video_to_text":
            assert result.by_source is None
            continue
        own = split.level_scores()[result.level].numpy()
        assert result.by_source is not None
        assert list(result.by_source) == ["all", "video", "speech"]
        for source, figures in result.by_source.items():
            rows = [number for number in range(14) if source in ("all", "speech" if number % 3 else "video")]
            assert figures["queries"] == len(rows)
            right_scores = [own[row][split.positives[row]] for row in rows]
            above = np.array([(own[row] > score).sum() for row, score in zip(rows, right_scores, strict=True)])
            # Videos without speech are tied on its level, the right one among them.
            level = np.array([(own[row] == score).sum() for row, score in zip(rows, right_scores, strict=True)])
            for k in (1, 5, 10):
                assert figures[f"R@{k}"] == pytest.approx(100 * np.clip((k - above) / level, 0, 1).mean())
            right = [chosen[row] == ("speech" if row % 3 else "video") for row in rows]
            assert figures.get("source chosen") == (
                pytest.approx(100 * np.mean(right)) if result.level == "sum" else None
            )


def test_a_data_set_without_labels_changes_nothing() -> None:
    split = in_row_order(SPLIT)
    ranks = rank_split(split)
    results = evaluate_split(split, dataset="plain", split_name="test", ranks=ranks)
    assert with_labelled_figures(results, split, ranks, query_labels(rows_of(split))) == results
    assert chosen_sources(split) is None


def test_captions_of_which_one_has_no_source_have_none() -> None:
    rows = [{"captions": ["a", "b"], "caption_levels": ["frame", None]}, {"captions": []}]
    assert query_labels(rows).sources is None
    assert query_labels([{"captions": ["a"], "caption_levels": ["frame"]}]).sources == ["video"]
