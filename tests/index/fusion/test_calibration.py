from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.index.fusion.made_lists import made_queries
from video_colbert.index.fusion.calibration import fit_calibrations
from video_colbert.index.fusion.evidence import probabilities_of_list
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.fusion.ranked_list import RankedList


def test_a_calibration_maximises_the_penalised_likelihood() -> None:
    judged = made_queries(40, seed=0, lead=2.5)
    fitted = fit_calibrations(judged)["speech"]
    rows, label = [], []
    for query in judged:
        hits = list(query.lists["speech"])
        chances = probabilities_of_list(RankedList.of("speech", hits))
        for place in range(10):
            best_other = hits[1][1] if place == 0 else hits[0][1]
            log_odds = np.log(chances[place] / (1 - chances[place]))
            rows.append([hits[place][1], hits[place][1] - best_other, log_odds])
            label.append(hits[place][0] in query.right)
    features, right = np.array(rows), np.array(label, dtype=float)
    spread = features.std(axis=0)
    signs = 2 * right - 1

    def loss(free: np.ndarray) -> float:
        odds = free[0] + (features - features.mean(axis=0)) / spread @ free[1:]
        return float(np.log1p(np.exp(-signs * odds)).sum() + free[1:] @ free[1:] / 2)

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    assert [fitted.score, fitted.margin, fitted.outstanding] == pytest.approx(best[1:] / spread, rel=1e-3)
    assert fitted.intercept == pytest.approx(best[0] - best[1:] / spread @ features.mean(axis=0), rel=1e-3)


def test_calibrated_probabilities_are_as_often_right_as_they_say() -> None:
    calibrations = fit_calibrations(made_queries(300, seed=1, lead=3.0))
    chances, right = [], []
    for query in made_queries(600, seed=2, lead=3.0):
        for source, hits in query.lists.items():
            chances.append(calibrations[source].probabilities(RankedList.of(source, hits))[0])
            right.append(hits[0][0] in query.right)
    believed, true = np.array(chances), np.array(right)
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        part = (believed >= low) & (believed < high)
        assert true[part].mean() == pytest.approx(believed[part].mean(), abs=0.12)


def test_hits_without_an_error_keep_finite_coefficients() -> None:
    lists = {"speech": [("a", 1.0), ("b", 0.2), ("c", 0.1)]}
    fitted = fit_calibrations([JudgedQuery(lists, frozenset("a"))] * 5)["speech"]
    chances = fitted.probabilities(RankedList.of("speech", lists["speech"]))
    assert np.isfinite(chances).all()
    assert chances[0] > 0.8 > 0.2 > chances[1]


def test_a_source_with_wrong_hits_alone_gets_no_calibration() -> None:
    lists = {"speech": [("a", 1.0), ("b", 0.2)], "video": [("b", 1.0), ("c", 0.9)]}
    assert set(fit_calibrations([JudgedQuery(lists, frozenset("a"))])) == {"speech"}
    with pytest.raises(ValueError, match="no source has both right and wrong hits"):
        fit_calibrations([JudgedQuery(lists, frozenset("z"))])
