import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import robustness_measures
import robustness_models
from robustness_fingerprint import fingerprint, weights_digest
from robustness_measures import MEASURES, SWAPS, VARIANTS, SeedMeasures, settings_of
from robustness_models import SeedModels, keep_only_if_made_with
from robustness_tables import MARKED_DEFENCES, defence_figures, pooled_ranks, top_share
from run_robustness import PAGE, RESULTS, for_tables, measured_otherwise, tables_of, targets_of

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


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Runs the measures of seed 1, none of which costs anything here; gives the names of those that were measured."""
    names = ("victim", "other_head", "hardened", "other_seed")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(name.encode())
    models = SeedModels(*(tmp_path / name for name in names[:3]))
    made: list[str] = []

    def attacked(measures: SeedMeasures, measure: robustness_measures.Measure) -> dict[str, Any]:
        made.append(f"{measure.attacker} {measure.settings['budget']}")
        return {"rank": 1 / 3}

    def swapped(measures: SeedMeasures, kind: str, budget: int) -> dict[str, Any]:
        made.append(f"{kind} {budget}")
        return {"rank": 2.0}

    monkeypatch.setattr(SeedMeasures, "_attacked", attacked)
    monkeypatch.setattr(SeedMeasures, "_suppressed", lambda measures: made.append("suppress") or {"rank": 3.0})
    monkeypatch.setattr(SeedMeasures, "_swapped", swapped)

    def run() -> list[str]:
        made.clear()
        found = SeedMeasures(tmp_path, 1, models, tmp_path / "other_seed").all()
        assert set(found) == set(settings_of(1))
        assert found["white_8"]["rank"] == 1 / 3
        assert measured_otherwise({"1": for_tables(found)}) == []
        return made.copy()

    return run


def test_an_unchanged_run_measures_nothing_again(measured: Callable[[], list[str]]) -> None:
    assert len(measured()) == len(MEASURES) + 1 + len(SWAPS)
    assert measured() == []


def test_what_has_other_settings_is_measured_again_and_nothing_else(
    measured: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured()
    grey = replace(MEASURES["grey_8"], settings={"budget": 8, "steps": 99})
    monkeypatch.setitem(robustness_measures.MEASURES, "grey_8", grey)
    assert measured() == ["other_head 8"]
    monkeypatch.setattr(robustness_models, "HARDENING_EPOCHS", 4)
    assert measured() == ["hardened 8"]
    monkeypatch.setattr(robustness_measures, "SUPPRESSED", 11)
    assert measured() == ["suppress"]
    assert measured() == []


def test_what_has_another_model_is_measured_again_and_nothing_else(
    measured: Callable[[], list[str]], tmp_path: Path
) -> None:
    measured()
    (tmp_path / "other_seed" / "model.safetensors").write_bytes(b"trained again")
    assert measured() == ["other_seed 8", "other_seed 16"]


def test_what_was_kept_without_its_settings_is_measured_again(
    measured: Callable[[], list[str]], tmp_path: Path
) -> None:
    measured()
    file = tmp_path / "seed_1" / "measures" / "white_8.json"
    kept = json.loads(file.read_text("utf-8"))
    del kept["fingerprint"]
    file.write_text(json.dumps(kept), "utf-8")
    assert measured() == ["victim 8"]


def test_training_that_was_begun_with_other_settings_begins_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    keep_only_if_made_with(run, {"epochs": 3})
    (run / "finished.json").write_text("{}", "utf-8")
    keep_only_if_made_with(run, {"epochs": 3})
    assert (run / "finished.json").exists()
    keep_only_if_made_with(run, {"epochs": 4})
    assert not (run / "finished.json").exists()
    # Of a run that says nothing of its settings nothing can be kept.
    (run / "made_with.json").unlink()
    (run / "finished.json").write_text("{}", "utf-8")
    keep_only_if_made_with(run, {"epochs": 4})
    assert not (run / "finished.json").exists()


def test_a_checkpoint_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} holds no file of weights"):
        weights_digest(tmp_path)


def test_figures_that_are_kept_are_of_todays_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert measured_otherwise(seeds) == []
    # What they say themselves of how they were measured.
    for seed, measures in seeds.items():
        for name, settings in settings_of(int(seed)).items():
            assert measures[name]["fingerprint"] == fingerprint(settings)
            assert measures[name].get("settings") == settings.get("attack")
            assert measures[name]["gallery"] == settings["models"]["victim"]["clips"]["num_test"]
    monkeypatch.setitem(robustness_measures.MEASURES, "white_4", replace(MEASURES["white_4"], attacker="other_head"))
    assert measured_otherwise(seeds) == [f"white_4 of seed {seed}" for seed in seeds]
