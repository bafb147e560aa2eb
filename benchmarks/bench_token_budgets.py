"""How many tokens of a video retrieval needs: all, neighbours merged, clusters by attention (AGC), learned clusters.

    make demo && python benchmarks/bench_token_budgets.py --json runs/token_budgets.json

Measured on the demo's test clips with the model that the demo trained, at its 4 frames: R@1 by tokens a video, and the
bytes that they take in an index of 16 bits a number. "Afterwards" gives the trained checkpoint a budget. "Trained"
goes on from it for some epochs with the budget, and the control goes on for as many without one. Of each setting there
is one run, on clips that the demo's own settings were chosen on: figures of a few points apart tell nothing. Exit code
1 if all tokens do not find what the demo reports, or a budget afterwards costs more than half of it at half of the
tokens.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from benchmark_report import Target, add_json_argument, report_figures, script_parser
from demo import DATA, FRAMES, rows_of

from video_colbert import VideoColBERTEncoder
from video_colbert.encoding.encoded import BadVideo, EncodedVideo
from video_colbert.evaluation.metrics import text_to_video_metrics
from video_colbert.index.lance.token_merging import merge_video_tokens
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

REPOSITORY = Path(__file__).parents[1]
SIMILARITIES = (0.95, 0.9, 0.8, 0.6, 0.3)
BUDGETS = (3, 2, 1)
TRAINED_BUDGETS = (None, 2, 1)


def main() -> int:
    """Runs the comparison; returns 0 if its targets hold."""
    parser = add_json_argument(script_parser(__doc__))
    parser.add_argument("--demo", type=Path, default=REPOSITORY / "runs" / "demo", help="what `make demo` made")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "runs" / "token_budgets", help="checkpoints made")
    parser.add_argument("--epochs", type=int, default=4, help="that training goes on with a budget; 0 trains nothing")
    arguments = parser.parse_args()
    trained = arguments.demo / "training" / "best"
    test = rows_of(arguments.demo / "clips" / "test")
    rows = []

    def measure(method: str, folder: Path, similarity: float | None = None) -> None:
        rows.append({"method": method} | figures(VideoColBERTEncoder.from_pretrained(folder), test, similarity))
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)

    measure("all tokens", trained)
    for similarity in SIMILARITIES:
        measure(f"neighbours merged from cosine {similarity}", trained, similarity)
    for budget in BUDGETS:
        measure(f"AGC afterwards, {budget} a level", with_budget(trained, budget, arguments.output))
    for kept in TRAINED_BUDGETS if arguments.epochs else ():
        started = with_budget(trained, kept, arguments.output)
        run = arguments.output / f"trained_{kept}"
        train(started, arguments.demo, run, arguments.epochs)
        name = "no budget" if kept is None else f"AGC trained, {kept} a level"
        measure(f"{name}, {arguments.epochs} more epochs", run / "best")
    reported = json.loads((arguments.demo / "report.json").read_text(encoding="utf-8"))["R@1"]
    half = next(row for row in rows if row["method"].startswith("AGC afterwards, 2 "))
    targets = [
        Target("R@1 of all tokens, away from the demo's", abs(rows[0]["R@1"] - reported), 1.0, at_least=False),
        Target("share of it by 2 tokens a level afterwards", half["R@1"] / rows[0]["R@1"], 0.5, at_least=True),
    ]
    return report_figures({"rows": rows, "gallery": DATA.num_test, "frames": FRAMES}, targets, arguments.json)


def figures(encoder: VideoColBERTEncoder, rows: list[dict[str, Any]], similarity: float | None) -> dict[str, Any]:
    """R@1 in percent, tokens and bytes a video of clips with their captions."""
    videos: list[EncodedVideo] = []
    for video in encoder.encode_videos([row["video"]["path"] for row in rows]):
        if isinstance(video, BadVideo):
            raise RuntimeError(f"{video.source}: {video.reason}")
        videos.append(video if similarity is None else merge_video_tokens(video, similarity))
    captions = [(caption, place) for place, row in enumerate(rows) for caption in row["captions"]]
    scores = encoder.similarity([caption for caption, _ in captions], videos)
    recall = text_to_video_metrics(scores.numpy(), [[place] for _, place in captions]).hit_rate[1]
    tokens = sum(len(bag) for video in videos for bag in video.embeds.values()) / len(videos)
    width = next(iter(videos[0].embeds.values())).shape[1]
    return {"R@1": round(recall, 1), "tokens": round(tokens, 1), "bytes": round(2 * width * tokens)}


def with_budget(checkpoint: Path, budget: int | None, output: Path) -> Path:
    """The checkpoint with a budget of tokens a level, saved in a folder of its own."""
    folder = output / f"budget_{budget}"
    VideoColBERTModel.from_pretrained(checkpoint, token_budget=budget).save_pretrained(folder)
    VideoColBERTProcessor.from_pretrained(checkpoint).save_pretrained(folder)
    return folder


def train(started: Path, demo: Path, run: Path, epochs: int) -> None:
    """Goes on training a checkpoint on the demo's clips, at a third of the demo's rates."""
    shutil.rmtree(run, ignore_errors=True)
    # What is said of a new model; this one is there.
    recipe = yaml.safe_load((REPOSITORY / "recipes" / "demo.yaml").read_text(encoding="utf-8"))
    file = run.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({name: value for name, value in recipe.items() if name != "config_overrides"}))
    arguments: dict[str, Any] = {
        "recipe": file,
        "model": started,
        "data_dir": demo / "clips" / "train",
        "validation_data_dir": demo / "clips" / "validation",
        "output_dir": run,
        "frame_cache": demo / "frames",
        "num_frames": FRAMES,
        "num_train_epochs": epochs,
        "eval_epochs": epochs,
        "learning_rate": 3e-4,
        "backbone_learning_rate": 3e-4,
    }
    command = [sys.executable, str(REPOSITORY / "train.py")]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
