"""Attacks on the search of a trained model and defences against them, for three seeds: docs/robustness.md.

    python benchmarks/run_robustness.py              what is missing of clips, models and attacks, then the tables
    python benchmarks/run_robustness.py --seeds 3 4  other seeds
    python benchmarks/run_robustness.py --report     the tables of what is there

Everything that is made is kept in runs/robustness, each attack as soon as it is done, so that an interrupted run goes
on. With it is kept what it was made with, and what was made with other settings or models is made again. What the
tables are made of is kept in benchmarks/robustness.json; no table is made of figures of other settings. The exit code
is 1 if white-box promotion at 8 of 255 does not bring a video that half of the unseen queries have behind a third of
the gallery into the top ten of half of them, or if no defence gives half of that back at a loss of at most 2 points of
R@1.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_report import Target, script_parser
from demo import REPOSITORY

sys.path.append(str(Path(__file__).parent / "study"))

from robustness_fingerprint import fingerprint
from robustness_measures import SeedMeasures, settings_of
from robustness_models import make_clips, train_models
from robustness_tables import (
    MARKED_DEFENCES,
    defence_figures,
    defence_table,
    detector_table,
    having,
    other_table,
    pooled_ranks,
    promotion_table,
    top_share,
    variant_table,
    visibility_table,
)
from study_report import replace_tables

RESULTS = Path(__file__).parent / "robustness.json"
PAGE = REPOSITORY / "docs" / "robustness.md"
SEEDS = (0, 1, 2)
_LEFT_OUT = ("model", "attack_model", "text", "swapped", "weights")
NOT_MEASURED = "Not measured yet; `make robustness` goes on with it."


def main() -> int:
    """Measures what is missing and writes the tables; returns 0 if the targets are met, otherwise 1."""
    parser = script_parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="seeds of models and attacks")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "runs" / "robustness", help="what is made is here")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of what was measured")
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose tables are replaced")
    parser.add_argument("--report", action="store_true", help="only write the tables")
    arguments = parser.parse_args()
    if not arguments.report:
        measure(arguments.seeds, arguments.output, arguments.results)
    seeds = json.loads(arguments.results.read_text(encoding="utf-8"))
    if others := measured_otherwise(seeds):
        raise SystemExit(
            f"{arguments.results} holds figures of other settings than today's: {', '.join(others)}; run this without "
            "--report, and with --seeds naming all of these seeds, to measure them again"
        )
    replace_tables(arguments.page, tables_of(seeds))
    targets = targets_of(seeds)
    print(*targets, sep="\n")
    return 0 if all(target.is_met for target in targets) else 1


def measure(seeds: list[int], output: Path, results: Path) -> None:
    """Makes clips and models, and measures what is missing of each seed."""
    # Sums in another order would be other sums.
    torch.set_num_threads(1)
    make_clips(output)
    models = {seed: train_models(output, seed) for seed in seeds}
    others = dict(zip(seeds, seeds[1:] + seeds[:1], strict=True))
    for seed in seeds:
        if others[seed] == seed:
            raise SystemExit("--seeds names one seed; a black box takes a second one")
        found = SeedMeasures(output, seed, models[seed], models[others[seed]].victim).all()
        kept = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
        kept[str(seed)] = for_tables(found)
        results.write_text(json.dumps(kept, indent=None) + "\n", encoding="utf-8")


def measured_otherwise(seeds: dict[str, Any]) -> list[str]:
    """The measures that were made with other settings than today's, such as "white_8 of seed 0"."""
    today = {seed: settings_of(int(seed)) for seed in seeds}
    return [
        f"{name} of seed {seed}"
        for seed, measures in seeds.items()
        for name, measure in measures.items()
        if name not in today[seed] or measure.get("fingerprint") != fingerprint(today[seed][name])
    ]


def tables_of(seeds: dict[str, Any]) -> dict[str, str]:
    """The tables of the page by the names of their markers."""
    tables = {
        "promotion": promotion_table(seeds),
        "visibility": visibility_table(seeds),
        "defences": defence_table(seeds),
        "variants": variant_table(seeds),
        "others": other_table(seeds),
        "detector": detector_table(seeds),
    }
    # A table is two lines of head before it has a row.
    return {name: table if table.count("\n") > 1 else NOT_MEASURED for name, table in tables.items()}


def targets_of(seeds: dict[str, Any]) -> list[Target]:
    """What must hold: the attack works, and one defence undoes half of it at little cost."""
    videos = next(iter(seeds.values()))["white_8"]["gallery"]
    before = float(np.median(pooled_ranks(seeds, "white_8", "before")))
    promoted = float(np.mean(top_share(seeds, "white_8", "after")))
    cheap = [
        found["given_back"]
        for name in (*MARKED_DEFENCES, *(["hardened"] if having(seeds, "hardened_8") else []))
        if (found := defence_figures(seeds, name))["loss"] <= 2.0
    ]
    return [
        Target("median rank before, white box", before, videos / 3, at_least=True),
        Target("unseen queries with the promoted video in the top 10, percent", promoted, 50.0, at_least=True),
        Target("gain given back by the best cheap defence", max(cheap, default=0.0), 0.5, at_least=True),
    ]


def for_tables(value: Any) -> Any:
    """The same without folders and texts, and with numbers of six digits, which is more than any table shows."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: for_tables(each) for key, each in value.items() if key not in _LEFT_OUT}
    return [for_tables(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
