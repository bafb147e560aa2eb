"""Processor time of whole `video-colbert` processes, against what their imports alone cost.

    python benchmarks/bench_cold.py

A checkpoint of CLIP ViT-B/32's size with random weights and an index of short clips are made in a temporary folder.
Each command runs in a process of its own, with one thread of torch; its time is that of the process and of all that it
starts, and the median of five is taken, the commands in turn. Targets:

- `search` takes at most 1.25 times the time of a bare script that imports torch, lancedb and CLIP's text class, loads
  the text tower and runs it once;
- `search` with a wrong index, and `index` with a folder that is not there, take at most 0.6 times the time of
  `import lancedb`;
- `index` with nothing new over 300 files takes at most 2.2 times the time of `import lancedb`.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark_report import Target, run_benchmark
from made_clips import make_clips
from sized_checkpoint import save_sized_checkpoint

from video_colbert.modeling_video_colbert import VideoColBERTModel

_FILES = 300
_RUNS = 5
_QUERY = "a dog catches a ball"
_IMPORT = "import lancedb"
_BARE = """
import sys, torch, lancedb
from transformers import CLIPTextModel
model = CLIPTextModel.from_pretrained(sys.argv[1]).eval()
with torch.inference_mode():
    model(torch.ones(1, 32, dtype=torch.long))
"""


def make_checkpoint(folder: Path) -> None:
    """Saves a Video-ColBERT checkpoint of ViT-B/32's size, and its text tower alone in `text`."""
    save_sized_checkpoint(folder, num_frames=1)
    VideoColBERTModel.from_pretrained(folder).text_model.save_pretrained(folder / "text")


def processor_seconds(command: list[str], environment: dict[str, str], expected: int) -> float:
    """Processor time of a process and of its children.

    Raises:
        RuntimeError: it ended with another exit code.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != expected:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure() -> tuple[dict[str, Any], list[Target]]:
    """Makes the index and runs the commands."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint, clips, index = folder / "model", folder / "clips", folder / "index"
        make_checkpoint(checkpoint)
        make_clips(clips, _FILES)
        # Modules are compiled once, as those of the libraries were when they were installed.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {
            **inherited,
            "OMP_NUM_THREADS": "1",
            "VIDEO_COLBERT_CACHE": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
        }
        python, own = [sys.executable, "-c"], [sys.executable, "-m", "video_colbert"]
        add = [*own, "index", str(clips), "--index", str(index), "--model", str(checkpoint)]
        processor_seconds(add, environment, 0)
        commands = {
            "import lancedb": ([*python, _IMPORT], 0),
            "bare script": ([*python, _BARE, str(checkpoint / "text")], 0),
            "search": ([*own, "search", _QUERY, "--index", str(index)], 0),
            "search, wrong index": ([*own, "search", _QUERY, "--index", str(folder / "none")], 1),
            "index, missing folder": ([*own, "index", str(folder / "none"), "--index", str(index)], 1),
            "index, nothing new": (add, 0),
        }
        # Once without the clock: files come from the page cache, and what is kept between processes is there.
        for command, code in commands.values():
            processor_seconds(command, environment, code)
        seconds: dict[str, list[float]] = {each: [] for each in commands}
        for _ in range(_RUNS):
            for each, (command, code) in commands.items():
                seconds[each].append(processor_seconds(command, environment, code))
    medians = {each: statistics.median(of_command) for each, of_command in seconds.items()}
    limits = {
        "search": ("bare script", 1.25),
        "search, wrong index": (_IMPORT, 0.6),
        "index, missing folder": (_IMPORT, 0.6),
        "index, nothing new": (_IMPORT, 2.2),
    }
    targets = [
        Target(f"{each} / {other}", medians[each] / medians[other], limit, at_least=False)
        for each, (other, limit) in limits.items()
    ]
    return {f"{each} (s of processor time)": value for each, value in medians.items()}, targets


if __name__ == "__main__":
    sys.exit(run_benchmark(__doc__ or "", measure))
