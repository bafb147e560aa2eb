from __future__ import annotations

import math

import pytest

from video_colbert.index.fusion.ranked_list import RankedList


@pytest.mark.parametrize(
    ("hits", "message"),
    [
        ([("a", 1.0), ("a", 0.5)], "the list of speech has 'a' twice"),
        ([("a", math.nan)], "the list of speech has a score that is not a finite number"),
        ([("a", 1.0), ("b", 2.0)], "the list of speech does not have its best hits first"),
    ],
)
def test_what_is_no_ranked_list_is_refused(hits: list[tuple[str, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RankedList.of("speech", hits)


@pytest.mark.parametrize(
    ("scores", "margins"), [((), []), ((2.0,), [0.0]), ((5.0, 3.0, 3.0, 1.0), [2.0, -2.0, -2.0, -4.0])]
)
def test_a_margin_is_the_distance_to_the_best_of_the_others(scores: tuple[float, ...], margins: list[float]) -> None:
    assert (
        RankedList.of("speech", [(str(each), score) for each, score in enumerate(scores)]).margins.tolist() == margins
    )
