"""The controlled study: every configuration and seed, on tasks where every factor is known.

    python benchmarks/study/run_study.py                         everything that is missing, then the report
    python benchmarks/study/run_study.py --seeds 3 4 5           other seeds
    python benchmarks/study/run_study.py --report                the report of what is there

All configurations are run with one seed before the next seed begins, on one thread, so that a study that is
interrupted is balanced. A finished run is a few rows of results.parquet and is not run again, unless what it was made
with has changed. Clips, backbone and tensors are kept in runs/study.
"""

import argparse
import hashlib
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from pretrained_backbone import BackboneSettings, pretrain_backbone
from study_report import write_report
from task_data import load_split
from task_scores import score_tasks
from training_run import PooledSplit, pool_split, train_run

from video_colbert.dataset_builders.shapes.graded_shapes import GradedShapesConfig
from video_colbert.dataset_builders.shapes.graded_shapes_tasks import TASKS
from video_colbert.training.arguments import JSONObject, TrainingArguments, merged_recipes

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RESULTS = HERE / "results.parquet"
DATA = GradedShapesConfig()
BACKBONE = BackboneSettings(image_size=DATA.image_size)
EVALUATED_SPLITS = ("validation", "test")


def main() -> int:
    """Runs what is missing and writes the report; returns 0 if what must hold of model and data holds, otherwise 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the runs")
    parser.add_argument("--configurations", nargs="+", help="names in configurations.yaml; by default all")
    parser.add_argument(
        "--output", type=Path, default=REPOSITORY / "runs" / "study", help="where what is made is kept"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="Parquet file of the finished runs")
    parser.add_argument("--report", action="store_true", help="only write the report")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    configurations: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "configurations.yaml").read_text("utf-8"))
    names = arguments.configurations or list(configurations)
    if unknown := [name for name in names if name not in configurations]:
        parser.error(f"unknown configurations {unknown}; there are {', '.join(configurations)}")
    if not arguments.report:
        run_missing(names, configurations, arguments.seeds, arguments.output, arguments.results)
    is_sound = write_report(arguments.results, list(configurations), REPOSITORY / "docs")
    return 0 if is_sound else 1


def run_missing(
    names: list[str], configurations: dict[str, dict[str, Any]], seeds: list[int], output: Path, results: Path
) -> None:
    """Runs every configuration and seed of which the results hold no rows of the present settings."""
    # Sums in another order would be other sums.
    torch.set_num_threads(1)
    digests = {name: settings_digest(configurations[name]) for name in names}
    missing = [(seed, name) for seed in seeds for name in names if not is_finished(results, name, seed, digests[name])]
    if not missing:
        return
    splits = prepare(output)
    for number, (seed, name) in enumerate(missing, start=1):
        print(f"run {number} of {len(missing)}: {name}, seed {seed}", flush=True)
        groups = configurations[name].get("counting_groups", False)
        run = run_arguments(name, configurations, seed, output)
        model, processor = train_run(run, splits["train"], counting_groups=groups)
        rows = [
            {"configuration": name, "seed": seed, "settings": digests[name], "split": split, **asdict(score)}
            for split in EVALUATED_SPLITS
            for score in score_tasks(model, processor, splits[split])
        ]
        append_rows(results, rows)


def prepare(output: Path) -> dict[str, PooledSplit]:
    """Makes clips and backbone, or finds them, and sends the frames through the frozen image tower."""
    splits = {split: load_split(output / "clips", DATA, split) for split in ("train", *EVALUATED_SPLITS)}
    captions = [clip.caption for clip in splits["train"].clips]
    backbone = pretrain_backbone(output / "backbone", BACKBONE, captions)
    return {name: pool_split(backbone, split) for name, split in splits.items()}


def run_arguments(name: str, configurations: dict[str, dict[str, Any]], seed: int, output: Path) -> TrainingArguments:
    """Returns the arguments of a run: those in common, with what sets the configuration apart."""
    values = merged_recipes([HERE / "common.yaml"])
    own = {key: value for key, value in configurations[name].items() if key != "counting_groups"}
    values |= own.pop("training", {})
    overrides = JSONObject({**values.pop("config_overrides"), **own})
    return TrainingArguments(backbone=str(output / "backbone"), config_overrides=overrides, seed=seed, **values)


def settings_digest(configuration: dict[str, Any]) -> str:
    """Identifies what a run is made with, apart from its seed: clips, backbone, and what the two files say.

    What neither file says is left to the library, so that a new argument of training does not undo finished runs.
    """
    common = merged_recipes([HERE / "common.yaml"])
    content = json.dumps([asdict(DATA), asdict(BACKBONE), common, configuration], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def is_finished(results: Path, name: str, seed: int, digest: str) -> bool:
    """Whether the results hold every task of a run on both splits."""
    if not results.exists():
        return False
    table = pd.read_parquet(results)
    own = table[(table.configuration == name) & (table.seed == seed) & (table.settings == digest)]
    return len(own.groupby(["split", "task"])) == len(EVALUATED_SPLITS) * len(TASKS)


def append_rows(results: Path, rows: list[dict[str, Any]]) -> None:
    """Adds a run to the file, in the place of an earlier one of that configuration and seed, in one step."""
    added = pd.DataFrame(rows)
    if results.exists():
        table = pd.read_parquet(results)
        same = (table.configuration == rows[0]["configuration"]) & (table.seed == rows[0]["seed"])
        added = pd.concat([table[~same], added], ignore_index=True)
    unfinished = results.with_suffix(".part")
    added.to_parquet(unfinished, index=False)
    unfinished.replace(results)


if __name__ == "__main__":
    sys.exit(main())
