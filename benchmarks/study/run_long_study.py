"""Captions of 16 to 128 tokens with a text tower of 16 positions: cut, in windows, or with more positions.

    python benchmarks/study/run_long_study.py              what is missing of the runs, then the report
    python benchmarks/study/run_long_study.py --report     the report of what is there

The text tower is a SigLIP's. Every run sees captions of all lengths, and is measured length by length. A finished run
is some rows of long.parquet, and is run again only if what it was made with has changed. The image tower is that of
the backbone of `run_study.py`.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import torch
import yaml
from long_backbone import TextTowerSettings, make_text_towers
from long_data import GALLERY, LENGTHS, LongCaptionsConfig, load_long_split
from pretrained_backbone import pretrain_backbone
from run_study import BACKBONE, REPOSITORY, append_rows
from run_study import DATA as STUDY_DATA
from study_report import mean_and_spread, replace_tables, row
from study_statistics import paired_difference
from task_data import load_split
from task_scores import gallery_recall
from training_run import PooledSplit, train_steps

from video_colbert.modeling_video_colbert import QueryEmbeddings, VideoColBERTModel, VideoEmbeddings
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import JSONObject, TrainingArguments, merged_recipes

matplotlib.use("Agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
RESULTS = HERE / "long.parquet"
DATA = LongCaptionsConfig()
TOWERS = TextTowerSettings()
CLAIMS = (
    ("sentence_windows", "cut"),
    ("interpolated_positions", "cut"),
    ("sentence_windows", "interpolated_positions"),
    ("sentence_windows", "long_pretraining"),
    ("sentence_windows", "chunk_pooling"),
    ("long_pretraining", "interpolated_positions"),
)
_BATCH_SIZE = 64


def main() -> int:
    """Runs what is missing and writes the report; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the runs")
    parser.add_argument(
        "--output", type=Path, default=REPOSITORY / "runs" / "study", help="where what is made is kept"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="Parquet file of the finished runs")
    parser.add_argument("--report", action="store_true", help="only write the report")
    arguments = parser.parse_args()
    if not arguments.report:
        run_missing(arguments.seeds, arguments.output, arguments.results)
    write_report(pd.read_parquet(arguments.results), REPOSITORY / "docs")
    return 0


def configurations() -> dict[str, dict[str, Any]]:
    """By name, the backbone of a configuration and the fields of VideoColBERTConfig that set it apart."""
    content: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "long_captions.yaml").read_text("utf-8"))
    return content


def run_missing(seeds: list[int], output: Path, results: Path) -> None:
    """Runs every configuration and seed of which the results hold no rows of the present settings."""
    # Sums in another order would be other sums.
    torch.set_num_threads(1)
    known = configurations()
    common = known.pop("common")
    table = pd.read_parquet(results) if results.exists() else pd.DataFrame({"settings": [], "seed": []})
    finished = set(zip(table.settings, table.seed, strict=True))
    digests = {name: settings_digest(common, own) for name, own in known.items()}
    missing = [(seed, name) for seed in seeds for name in known if (digests[name], seed) not in finished]
    if not missing:
        return
    folder = output / "long"
    captions = [clip.caption for clip in load_split(output / "clips", STUDY_DATA, "train").clips]
    clip = pretrain_backbone(output / "backbone", BACKBONE, captions)
    splits = {split: load_long_split(folder / "clips", DATA, clip, split) for split in ("train", "test")}
    towers = make_text_towers(folder / "towers", clip, TOWERS)
    for number, (seed, name) in enumerate(missing, start=1):
        print(f"run {number} of {len(missing)}: {name}, seed {seed}", flush=True)
        arguments = run_arguments(common, known[name], towers, seed)
        model, processor = train_steps(arguments, list(splits["train"].values()), length_rows(arguments))
        rows = [
            {
                "configuration": name,
                "seed": seed,
                "settings": digests[name],
                "sentences": length,
                "recall_at_1": recall(model, processor, splits["test"][length]),
                "num_queries": len(splits["test"][length].clips),
            }
            for length in LENGTHS
        ]
        append_rows(results, rows)


def run_arguments(
    common: dict[str, Any], own: dict[str, Any], towers: dict[str, Path], seed: int
) -> TrainingArguments:
    """Returns the arguments of a run: those of the study, with what this one has in common and what sets it apart."""
    values = merged_recipes([HERE / "common.yaml"])
    shared, special = dict(common), dict(own)
    backbone = towers[special.pop("backbone")]
    values |= shared.pop("training")
    overrides = JSONObject({**values.pop("config_overrides"), **shared, **special})
    return TrainingArguments(backbone=str(backbone), config_overrides=overrides, seed=seed, **values)


def settings_digest(common: dict[str, Any], own: dict[str, Any]) -> str:
    """Identifies what a run is made with, apart from its seed."""
    study = merged_recipes([HERE / "common.yaml"])
    content = [asdict(DATA), asdict(BACKBONE), asdict(TOWERS), study, common, own]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def length_rows(arguments: TrainingArguments) -> Iterator[tuple[int, np.ndarray]]:
    """Yields for each step which length it has, all by turns, and the clips of that length; no length tells a clip."""
    rngs = [np.random.default_rng([arguments.seed, length]) for length in LENGTHS]
    for step in range(arguments.max_train_steps or 0):
        part = step % len(LENGTHS)
        yield part, rngs[part].choice(DATA.num_train, arguments.per_device_train_batch_size, replace=False)


@torch.inference_mode()
def recall(model: VideoColBERTModel, processor: VideoColBERTProcessor, split: PooledSplit) -> float:
    """R@1 in percent of captions that each search the clips of their gallery."""
    inputs = processor.process_queries([clip.caption for clip in split.clips])
    matrices = []
    for start in range(0, len(split.clips), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        query = model.get_text_features(inputs["input_ids"][rows], inputs["attention_mask"][rows])
        video = model.get_video_features(split.pixel_values(np.arange(len(split.clips))[rows]))
        for first in range(0, len(query.query_mask), GALLERY):
            part = slice(first, first + GALLERY)
            matrices.append(
                model.score(
                    QueryEmbeddings(**{name: tensor[part] for name, tensor in query.items()}),
                    VideoEmbeddings(**{name: tensor[part] for name, tensor in video.items()}),
                ).scores
            )
    return gallery_recall(matrices)


def recalls(table: pd.DataFrame, configuration: str, sentences: int | None) -> pd.Series:
    """R@1 of a configuration in percent by seed, of captions of a length or the mean of all lengths."""
    own = table[table.configuration == configuration]
    if sentences is not None:
        own = own[own.sentences == sentences]
    by_seed: pd.Series = own.groupby("seed").recall_at_1.mean()
    return by_seed


def write_report(table: pd.DataFrame, docs: Path) -> None:
    """Writes the tables of the page and the plot."""
    names = [name for name in configurations() if name in set(table.configuration)]
    heads = [f"{tokens} tokens ({sentences} sentences)" for sentences, tokens in LENGTHS.items()]
    lines = [row("configuration", "seeds", *heads), row("---", *["---:"] * (len(heads) + 1))]
    for name in names:
        own = [recalls(table, name, sentences) for sentences in LENGTHS]
        lines.append(row(f"`{name}`", str(len(own[0])), *map(mean_and_spread, own)))
    lines.append(row("chance", "", *[f"{100 / GALLERY:.1f}"] * len(heads)))
    replace_tables(docs / "study.md", {"long": "\n".join(lines), "long claims": claim_table(table)})
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for name in names:
        own = [recalls(table, name, sentences) for sentences in LENGTHS]
        spread = [float(values.std(ddof=1)) if len(values) > 1 else 0.0 for values in own]
        means = [float(values.mean()) for values in own]
        axis.errorbar(list(LENGTHS.values()), means, yerr=spread, marker="o", capsize=2, label=name)
    axis.axhline(100 / GALLERY, color="black", linewidth=1, linestyle="--")
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(LENGTHS.values()), [str(tokens) for tokens in LENGTHS.values()])
    axis.set_xlabel("tokens of the caption")
    axis.set_ylabel("R@1, %")
    axis.legend(fontsize=8)
    axis.set_title("Long captions (whiskers: standard deviation over seeds; dashed: chance)", fontsize=9, loc="left")
    figure.savefig(docs / "study" / "long.png", dpi=75)
    plt.close(figure)


def claim_table(table: pd.DataFrame) -> str:
    """Differences of pairs of configurations, over all lengths and at the longest, paired by seed, as Markdown."""
    lines = [
        row("claim", "verdict over all lengths", "difference [95 %]", f"at {max(LENGTHS.values())} tokens [95 %]"),
        row("---", "---", "---:", "---:"),
    ]
    for better, worse in CLAIMS:
        found = [
            paired_difference(recalls(table, better, sentences), recalls(table, worse, sentences))
            for sentences in (None, max(LENGTHS))
        ]
        claim = f"`{better}` > `{worse}`"
        if found[0] is None or found[1] is None:
            lines.append(row(claim, "not run", "", ""))
            continue
        cells = [f"{each.mean:+.1f} [{each.low:+.1f}, {each.high:+.1f}]" for each in found if each is not None]
        lines.append(row(claim, found[0].verdict, *cells))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
