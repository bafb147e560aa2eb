"""One contextual encoder over frames and texts, against one encoder a source with late fusion, averages or a router.

    python benchmarks/study/run_sources_study.py              what is missing of the runs, then the report
    python benchmarks/study/run_sources_study.py --report     the report of what is there

Clips are spoken shapes with their texts as they were made. All encoders are of one configuration; the contextual ones
see all sources, and the four specialists one each, for a quarter of the steps. A finished seed is some rows of
sources.parquet, and is run again only if what it was made with has changed. The image tower is that of the checkpoint
that `benchmarks/demo.py` makes.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from run_study import REPOSITORY, append_rows
from sources_data import SOURCES, SourceSplit, load_source_split
from sources_ranking import AVERAGED, FUSIONS, SystemScore, score_matrix, score_specialists
from sources_training import CONFIG, SourceEncoder, SourceRun, make_backbone
from study_report import mean_and_spread, replace_tables, row
from study_statistics import paired_difference

from video_colbert.dataset_builders import SpokenShapesConfig

RESULTS = Path(__file__).parent / "sources.parquet"
STEPS = 500
CONTEXTUAL = {
    "contextual": SourceRun(SOURCES, STEPS),
    "contextual, labelled": SourceRun(SOURCES, STEPS, modality_loss="hard_negative"),
}
SPECIALISTS = {source: SourceRun((source,), STEPS // len(SOURCES)) for source in SOURCES}
DATA = {
    "train": [SpokenShapesConfig(seed=seed, num_train=1600) for seed in range(2)],
    "validation": [SpokenShapesConfig(num_validation=200)],
    "test": [SpokenShapesConfig(num_test=400)],
}
SCORINGS = ("token_max", "modality_max")
BEST = "contextual, token_max"


def main() -> int:
    """Runs what is missing and writes the report; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the runs")
    parser.add_argument(
        "--checkpoint", type=Path, default=REPOSITORY / "runs" / "demo" / "training" / "best", help="of the demo"
    )
    parser.add_argument(
        "--output", type=Path, default=REPOSITORY / "runs" / "sources_study", help="where what is made is kept"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="Parquet file of the finished runs")
    parser.add_argument("--report", action="store_true", help="only write the report")
    arguments = parser.parse_args()
    if not arguments.report:
        run_missing(arguments.seeds, arguments.checkpoint, arguments.output, arguments.results)
    tables = {"sources": recall_table(pd.read_parquet(arguments.results))}
    tables["sources claims"] = difference_table(pd.read_parquet(arguments.results))
    replace_tables(REPOSITORY / "docs" / "study.md", tables)
    return 0


def run_missing(seeds: list[int], checkpoint: Path, output: Path, results: Path) -> None:
    """Runs every seed of which the results hold no rows of the present settings."""
    # Sums in another order would be other sums.
    torch.set_num_threads(1)
    settings = settings_digest()
    missing = [seed for seed in seeds if not is_finished(results, seed, settings)]
    if not missing:
        return
    splits = {split: load_source_split(output, checkpoint, configs, split) for split, configs in DATA.items()}
    train = splits["train"]
    texts = [*train.queries, *(text for passages in train.passages for text in passages.values())]
    backbone = make_backbone(output / "backbone", checkpoint, texts)
    for seed in missing:
        scores = run_seed(backbone, splits, seed)
        rows = [{"configuration": "sources", "seed": seed, "settings": settings, **asdict(score)} for score in scores]
        append_rows(results, rows)


def run_seed(backbone: Path, splits: dict[str, SourceSplit], seed: int) -> list[SystemScore]:
    """Trains the encoders of a seed, and scores all systems on the test split."""
    found = []
    for name, run in CONTEXTUAL.items():
        encoder = trained(backbone, run, seed, splits["train"])
        for scoring, scores in encoder.scores(splits["test"]).items():
            found += score_matrix(f"{name}, {scoring}", scores, splits["test"])
    of_split: dict[str, dict[str, torch.Tensor]] = {"validation": {}, "test": {}}
    for source, run in SPECIALISTS.items():
        encoder = trained(backbone, run, seed, splits["train"])
        for split, by_source in of_split.items():
            by_source[source] = encoder.scores(splits[split])["modality_max"]
    validation, test = ((splits[split], by_source) for split, by_source in of_split.items())
    return found + score_specialists(validation, test)


def trained(backbone: Path, run: SourceRun, seed: int, split: SourceSplit) -> SourceEncoder:
    """An encoder after its training."""
    encoder = SourceEncoder(backbone, run, seed)
    encoder.train(split)
    return encoder


def settings_digest() -> str:
    """Identifies what a seed is run with."""
    runs = {name: asdict(run) for name, run in (CONTEXTUAL | SPECIALISTS).items()}
    data = {split: [asdict(config) for config in configs] for split, configs in DATA.items()}
    return hashlib.sha256(json.dumps([runs, data, CONFIG], sort_keys=True).encode()).hexdigest()[:12]


def is_finished(results: Path, seed: int, settings: str) -> bool:
    """Whether the results hold a seed with these settings."""
    if not results.exists():
        return False
    table = pd.read_parquet(results)
    return bool(((table.seed == seed) & (table.settings == settings)).any())


def recalls(table: pd.DataFrame, system: str, source: str = "all") -> pd.Series:
    """R@1 of a system on the queries of a source in percent, with the seed as index."""
    own = table[(table.system == system) & (table.source == source)]
    by_seed: pd.Series = own.set_index("seed").recall_at_1
    return by_seed


def recall_table(table: pd.DataFrame) -> str:
    """R@1 of every system by the source that answers, mean and standard deviation over seeds, as Markdown."""
    columns = ("all", *SOURCES)
    lines = [row("system", "seeds", *columns), row("---", *["---:"] * (len(columns) + 1))]
    for system in dict.fromkeys(table.system):
        own = [recalls(table, system, source) for source in columns]
        lines.append(row(system, str(len(own[0])), *map(mean_and_spread, own)))
    return "\n".join(lines)


def difference_table(table: pd.DataFrame) -> str:
    """How far the contextual encoder is above the other systems, paired by seed, as Markdown."""
    lines = [row("claim", "verdict", "difference [95 %]"), row("---", "---", "---:")]
    for other in (*FUSIONS, AVERAGED, *(f"{source} alone" for source in SOURCES), "contextual, labelled, token_max"):
        found = paired_difference(recalls(table, BEST), recalls(table, other))
        claim = f"{BEST} > {other}"
        if found is None:
            lines.append(row(claim, "not run", ""))
        else:
            lines.append(row(claim, found.verdict, f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
