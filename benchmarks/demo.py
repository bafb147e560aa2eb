"""The main job from nothing: make clips, train, save, reload, index, search.

    python benchmarks/demo.py                              a tiny model, trained here on moving shapes
    python benchmarks/demo.py --model ID --videos DIR      a checkpoint of the Hub on your own folder

Without arguments, R@1 on unseen clips must reach 50 % and the video level must tell temporal twins (clips of the
same frames in another order) apart in 85 % of the cases, or the exit code is 1. The report is
`runs/demo/report.json`. At the end stands how to open the page over the index, `video-colbert serve`; on a terminal,
or with --serve, it is served at once.
"""

import argparse
import contextlib
import importlib.util
import json
import logging
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark_report import script_parser
from demo_checkpoint import load_demo_encoder

from video_colbert import VideoColBERTEncoder, open_index
from video_colbert.dataset_builders import MovingShapesConfig, VideoFolder, write_moving_shapes
from video_colbert.dataset_builders.shapes.moving_shapes import SPLITS
from video_colbert.evaluation.encoded_split import encode_split
from video_colbert.evaluation.metrics import pairwise_discrimination
from video_colbert.evaluation.retrieval import evaluate_split
from video_colbert.index.results_page import write_search_page
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

REPOSITORY = Path(__file__).parents[1]
TARGET_RECALL = 50.0
TARGET_TWINS = 85.0
DATA = MovingShapesConfig(num_train=5000, num_validation=100, num_test=200, num_twin_pairs=150)
FRAMES = 4


def main() -> int:
    """Runs the demo; returns 0 if it did what it shows, 1 if not, 3 if some of the user's files were bad."""
    parser = script_parser(__doc__)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "runs" / "demo", help="folder for everything made")
    parser.add_argument("--model", help="Hub id or folder of a checkpoint to search your own videos with")
    parser.add_argument("--videos", type=Path, help="folder of your own videos")
    parser.add_argument("--query", nargs="+", help="what to search for in your own videos")
    parser.add_argument(
        "--serve",
        action=argparse.BooleanOptionalAction,
        help="serve the page over the index at the end, until Ctrl-C (default: on a terminal)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if (arguments.model is None) != (arguments.videos is None):
        parser.error("--model and --videos go together")
    if arguments.model is not None:
        encoder = VideoColBERTEncoder.from_pretrained(arguments.model)
        queries = arguments.query or ["a person", "an animal", "something that moves"]
        code = search_folder(encoder, arguments.videos, queries, arguments.output)
    else:
        code = run_from_nothing(arguments.output)
    show_page(arguments.output / "index", serves=sys.stdout.isatty() if arguments.serve is None else arguments.serve)
    return code


def run_from_nothing(output: Path) -> int:
    """Makes the data, trains, reloads, evaluates, indexes and searches."""
    start = time.perf_counter()
    data, backbone, run = output / "clips", output / "backbone", output / "training"
    step("Making clips of moving shapes")
    for split in SPLITS:
        write_moving_shapes(data, DATA, split)
    captions = [row["caption"] for row in read_captions(data / "train")]
    save_tiny_clip_backbone(backbone, train_clip_tokenizer(captions))

    step("Training")
    shutil.rmtree(run, ignore_errors=True)
    train(data, backbone, run, output / "frames")

    step("Reloading the saved folder and evaluating on unseen clips")
    encoder = load_demo_encoder(run / "best")
    report = evaluate(encoder, data)

    step("Indexing the test clips and searching them")
    queries = [row["caption"] for row in read_captions(data / "test")[:3]]
    # As every command loads it, so that the index is one that `video-colbert serve` and `search` open.
    search_folder(VideoColBERTEncoder.from_pretrained(run / "best"), data / "test", queries, output)
    report["seconds"] = round(time.perf_counter() - start, 1)
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))
    return 0 if report["R@1"] >= TARGET_RECALL and report["twins_video"] >= TARGET_TWINS else 1


def train(data: Path, backbone: Path, run: Path, frame_cache: Path) -> None:
    """Trains a tiny model through `accelerate launch`, in a process of its own as a user would."""
    arguments: dict[str, Any] = {
        "recipe": REPOSITORY / "recipes" / "demo.yaml",
        "backbone": backbone,
        "data_dir": data / "train",
        "validation_data_dir": data / "validation",
        "output_dir": run,
        "frame_cache": frame_cache,
        "num_frames": FRAMES,
    }
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--num_processes", "1"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--num_cpu_threads_per_process", "2", str(REPOSITORY / "train.py")]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    subprocess.run(command, check=True)


def evaluate(encoder: VideoColBERTEncoder, data: Path) -> dict[str, Any]:
    """Measures retrieval on the test clips and the discrimination of temporal twins, in percent."""
    test = encode_split(encoder, rows_of(data / "test"))
    results = {
        (result.level, result.direction): result.metrics
        for result in evaluate_split(test, dataset="moving_shapes", split_name="test")
    }
    metrics = results["sum", "text_to_video"]
    twins = encode_split(encoder, rows_of(data / "twins"))
    partner = {row["video"]: row["twin"] for row in read_captions(data / "twins")}
    place = {video_id: column for column, video_id in enumerate(twins.video_ids)}
    other = [place[partner[twins.video_ids[own]]] for own in twins.positives]
    queries = range(len(twins.positives))
    discrimination = {
        level: pairwise_discrimination(scores[queries, twins.positives], scores[queries, other])
        for level, scores in twins.level_scores().items()
    }
    return {
        **{name: round(metrics[name], 1) for name in ("R@1", "R@5", "R@10", "MdR", "MnR")},
        "R@1_frame": round(results["frame", "text_to_video"]["R@1"], 1),
        "R@1_video": round(results["video", "text_to_video"]["R@1"], 1),
        "chance": round(100 / len(test.video_ids), 2),
        "gallery": len(test.video_ids),
        "twins_video": round(discrimination["video"], 1),
        "twins_frame": round(discrimination["frame"], 1),
        "twin_pairs": len(queries) // 2,
    }


def search_folder(encoder: VideoColBERTEncoder, videos: Path, queries: Sequence[str], output: Path) -> int:
    """Indexes a folder, prints the best hits of each query and writes them to a page."""
    shutil.rmtree(output / "index", ignore_errors=True)
    index = open_index(output / "index", encoder)
    report = index.add([videos])
    results = index.search(queries, top_k=3)
    for result in results:
        print(f'\n"{result.query}"\n{result.as_text()}')
    page = output / "search.html"
    write_search_page(page, results, title="Video-ColBERT demo")
    print(f"\nThe same with the clips: {page}")
    for bad in report.bad:
        print(f"Bad file {bad.source}: {bad.reason}")
    return 3 if report.bad else 0


def show_page(index: Path, *, serves: bool) -> None:
    """Says how the page over the index is opened, and opens it where that is asked for."""
    command = [sys.executable, "-m", "video_colbert", "serve", "--index", str(index)]
    if importlib.util.find_spec("gradio") is None:
        print(f"\nFor a page to search on: pip install -e '.[app]', then\n  {shlex.join(command)}", flush=True)
        return
    print(f"\nA page to search on, at http://127.0.0.1:7860/:\n  {shlex.join(command)}", flush=True)
    if serves:
        # Ctrl-C is how one leaves it, and no failure of the demo.
        with contextlib.suppress(KeyboardInterrupt):
            subprocess.run(command, check=False)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Reads a folder of clips and captions as rows."""
    builder = VideoFolder(data_dir=folder)
    builder.download_and_prepare()
    return list(builder.as_dataset(split="train"))


def read_captions(folder: Path) -> list[dict[str, Any]]:
    """Reads the lines of a folder's `captions.jsonl`."""
    lines = (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def step(title: str) -> None:
    """Prints what comes next."""
    print(f"\n== {title}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
