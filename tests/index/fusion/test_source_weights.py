from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.index.fusion.made_lists import made_queries
from video_colbert.index.fusion.evidence import probabilities_of_list, standardised
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.fusion.ranked_list import RankedList
from video_colbert.index.fusion.source_weights import fit_weights


def cut(query: JudgedQuery) -> JudgedQuery:
    """The query as sources answer that list fifty and thirty videos."""
    lists = {"speech": query.lists["speech"][:50], "video": query.lists["video"][:30]}
    return JudgedQuery(lists, query.right)


def test_weights_maximise_the_share_of_the_right_videos() -> None:
    judged = [cut(query) for query in made_queries(30, seed=0, lead=3.0)]
    fitted = fit_weights(judged)
    examples = []
    for query in judged:
        videos = sorted({video for hits in query.lists.values() for video, _ in hits})
        columns = []
        for source in ("speech", "video"):
            ranked = RankedList.of(source, query.lists[source])
            for values, unlisted in (
                (standardised(ranked), standardised(ranked).min()),
                (probabilities_of_list(ranked), 0.0),
            ):
                known = dict(zip(ranked.ids, values, strict=True))
                columns.append([known.get(video, unlisted) for video in videos])
        if query.right & set(videos):
            examples.append((np.array(columns).T, [video in query.right for video in videos]))

    def loss(weights: np.ndarray) -> float:
        shares = [
            (features @ weights)[right].mean() - np.log(np.exp(features @ weights).sum())
            for features, right in examples
        ]
        return float(0.005 * weights @ weights - np.mean(shares))

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    found = [
        number
        for source in ("speech", "video")
        for number in (fitted[source].standardised, fitted[source].probability)
    ]
    assert found == pytest.approx(best, rel=1e-3, abs=1e-4)


def test_a_source_that_is_always_wrong_gets_less_weight() -> None:
    judged = made_queries(40, seed=1, lead=4.0)
    noisy = [JudgedQuery({**query.lists, "tags": query.lists["video"][::-1][:0]}, query.right) for query in judged]
    weights = fit_weights(noisy)
    assert (weights["tags"].standardised, weights["tags"].probability) == (0.0, 0.0)
    assert weights["speech"].probability > 0.5


def test_queries_without_a_listed_answer_teach_nothing() -> None:
    judged = made_queries(20, seed=2)
    unanswered = JudgedQuery(judged[0].lists, frozenset({"elsewhere"}))
    assert fit_weights([*judged, unanswered]) == fit_weights(judged)
    with pytest.raises(ValueError, match="no judged query does any source list a right video"):
        fit_weights([unanswered])
