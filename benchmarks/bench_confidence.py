"""How far hits are to be believed: probabilities and "no such video" on queries that nothing was fitted on.

An index of 2,200 clips that the model of `demo.py` has not seen learns its confidence from 1,000 of their captions.
The targets are of others. On 1,000 captions as they are, the expected calibration error of first hits is at most .05,
in ten bins of equal mass; it is set beside that of the bare list (`probabilities_of_list`), which nothing was fitted
for. Then the clips of 200 captions are removed from the index, and these are searched for: as many are taken for found
as the stated rate of false positives allows, within the 99 % binomial interval, at each of three rates.

The demo is run if it was not before (some minutes). Clips and index are kept in `runs/confidence`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import Target, run_benchmark
from demo_checkpoint import load_demo_encoder
from scipy import stats

from video_colbert import open_index
from video_colbert.dataset_builders import MovingShapesConfig, write_moving_shapes
from video_colbert.evaluation.reports.reliability import (
    expected_calibration_error,
    measure_reliability,
    reliability_bins,
)
from video_colbert.evaluation.reports.reliability_plot import reliability_plot
from video_colbert.index.confidence.learning import judge_searches, learn_confidence
from video_colbert.index.confidence.search_confidence import DEPTH, JudgedHits
from video_colbert.index.fusion.evidence import probabilities_of_list
from video_colbert.index.fusion.ranked_list import RankedList

REPOSITORY = Path(__file__).parents[1]
CHECKPOINT = REPOSITORY / "runs" / "demo" / "training" / "best"
FOLDER = REPOSITORY / "runs" / "confidence"
DATA = MovingShapesConfig(num_train=0, num_validation=0, num_test=2200, num_twin_pairs=0)
FITTED, HELD_OUT, REMOVED = 1000, 1000, 200
RATES = (0.01, 0.05, 0.1)


def main() -> tuple[dict[str, Any], list[Target]]:
    """Searches, fits and measures."""
    if not CHECKPOINT.exists():
        subprocess.run([sys.executable, str(REPOSITORY / "benchmarks" / "demo.py")], check=True)
    clips = write_moving_shapes(FOLDER / "clips", DATA, "test")
    index = open_index(
        FOLDER / f"index-{(CHECKPOINT / 'model.safetensors').stat().st_mtime_ns}", load_demo_encoder(CHECKPOINT)
    )
    index.add(clips)
    rows = [json.loads(line) for line in (clips / "captions.jsonl").read_text("utf-8").splitlines()]
    paths = {Path(video.path).name: video.path for video in index.videos}
    right: dict[str, set[str]] = {}
    for row in rows:
        right.setdefault(row["caption"], set()).add(paths[row["video"]])
    captions = [rows[row]["caption"] for row in np.random.default_rng(0).permutation(len(rows))]
    judged = judge_searches(index, [(caption, frozenset(right[caption])) for caption in captions[: FITTED + HELD_OUT]])
    fitted, held_out = judged[:FITTED], judged[FITTED : FITTED + HELD_OUT]
    confidence = learn_confidence(index, fitted)
    found = measure_reliability([(query, confidence) for query in held_out])
    (FOLDER / "reliability.svg").write_text(reliability_plot(found), "utf-8")
    is_right = [query.hits[0][0] in query.right for query in held_out]
    figures: dict[str, Any] = {
        "R@1": 100 * float(np.mean(is_right)),
        "expected_calibration_error": found.error,
        "expected_calibration_error_of_the_bare_list": expected_calibration_error(
            reliability_bins([bare_probability(query) for query in held_out], is_right)
        ),
        "bins": [[each.probability, each.share_right, each.count] for each in found.bins],
        "found_of_held_out": dict(found.found),
    }
    targets = [Target("expected calibration error of first hits", found.error, 0.05, at_least=False)]
    index.remove(sorted({path for caption in captions[-REMOVED:] for path in right[caption]}))
    removed = index.search(captions[-REMOVED:], top_k=1)
    for rate in RATES:
        wrong = sum(hits.false_positive_rate is not None and hits.false_positive_rate <= rate for hits in removed)
        low, high = stats.binom.interval(0.99, REMOVED, rate)
        figures[f"found_of_removed_at_{rate:g}"] = wrong / REMOVED
        targets.append(
            Target(f"found though removed, stated {rate:.0%}", wrong / REMOVED, float(high) / REMOVED, at_least=False)
        )
        targets.append(
            Target(f"found though removed, stated {rate:.0%}", wrong / REMOVED, float(low) / REMOVED, at_least=True)
        )
    print("probability, share right, queries:", *(f"{p:.2f} {s:.2f} {n}" for p, s, n in figures["bins"]), sep="\n  ")
    return figures, targets


def bare_probability(query: JudgedHits) -> float:
    """How likely the first hit is right, from its list alone."""
    return float(probabilities_of_list(RankedList.of("hits", query.hits[:DEPTH]))[0])


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", main))
