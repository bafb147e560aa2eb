from typing import Any

import numpy as np
import pytest
from robustness_measures import MEASURES, VARIANTS
from robustness_tables import MARKED_DEFENCES, defence_figures, pooled_ranks, top_share
from run_robustness import PAGE, RESULTS, for_tables, tables_of, targets_of

from video_colbert.evaluation.robustness.video_attack import defended_state


def video(before: list[float], after: list[float], defended: list[float]) -> dict[str, Any]:
    ranks = {"before": before, "after": after, "written as mp4": after}
    for name in MARKED_DEFENCES:
        ranks[defended_state("before", name)] = before
        ranks[defended_state("after", name)] = defended
    large = {"median": 900.0, "shares": {"1": 0.0, "5": 1.0, "10": 2.0}, "above_sample": 10.0}
    change = {"largest": 8, "psnr": 33.0, "ssim": 0.8}
    return {"targets": ranks, "unseen": ranks, "large_index": large, "change": change, "disagreement": 0.5}


@pytest.fixture
def seeds() -> dict[str, Any]:
    """Two seeds: an attack that wins three of four queries, of which a defence that costs a point gives two back."""
    videos = [
        video([100.0, 90.0], [1.0, 8.0], [50.0, 60.0]),
        video([120.0, 150.0], [10.0, 40.0], [9.0, 120.0]),
    ]
    recall = {"none": 90.0} | dict.fromkeys(MARKED_DEFENCES, 89.0)
    measure = {"videos": videos, "recall_at_1": recall, "gallery": 200, "clean_disagreement": [0.1, 0.2, 0.6]}
    queries = [{"rank": 1.0, "rank_after": 3.0}, {"rank": 2.0, "rank_after": 2.0}]
    measures: dict[str, Any] = dict.fromkeys([*MEASURES, *VARIANTS, "suppress_8"], measure)
    measures |= {f"{kind}_{budget}": {"queries": queries} for kind in ("words", "letters") for budget in (1, 2)}
    return {"0": measures, "1": measures}


def test_figures_are_those_of_the_ranks(seeds: dict[str, Any]) -> None:
    assert np.median(pooled_ranks(seeds, "white_8", "before")) == 110.0
    assert top_share(seeds, "white_8", "after") == [75.0, 75.0]
    found = defence_figures(seeds, "jitter")
    assert found["loss"] == 1.0
    assert found["given_back"] == pytest.approx(1 - 25 / 75)


def test_targets_are_met_by_an_attack_that_works_and_a_cheap_defence(seeds: dict[str, Any]) -> None:
    assert all(target.is_met for target in targets_of(seeds))
    costly = dict.fromkeys(("none", *MARKED_DEFENCES), 80.0) | {"none": 90.0}
    for measures in seeds.values():
        for name in ("white_8", "hardened_8"):
            measures[name] = measures[name] | {"recall_at_1": costly | {"none": 90.0}}
    # The hardened model alone costs nothing, and it is promoted as the victim was.
    assert [target.is_met for target in targets_of(seeds)] == [True, True, False]


def test_every_table_has_its_place_on_the_page(seeds: dict[str, Any]) -> None:
    page = PAGE.read_text("utf-8")
    for name, table in tables_of(seeds).items():
        assert 0 <= page.find(f"<!-- {name} -->") < page.find(f"<!-- end of {name} -->")
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1


def test_what_is_kept_of_a_measure_names_no_folder_of_the_machine() -> None:
    measured = {"model": "/home/me/runs/best", "figures": {"after": 1 / 3}, "queries": [{"text": "a", "rank": 2.0}]}
    assert for_tables(measured) == {"figures": {"after": 0.333333}, "queries": [{"rank": 2.0}]}
    assert '"/' not in RESULTS.read_text(encoding="utf-8")
