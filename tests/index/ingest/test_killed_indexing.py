from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import lancedb
import numpy as np
import pytest

from tests.video_files import write_clip
from tests.warm_python import warm_python
from video_colbert.index import LanceIndex

ROOT = Path(__file__).parents[3]
CLIPS = 120
KILLS = 10

# The command, storing what it has after a few clips rather than some thousand.
COMMAND = """
import sys
from video_colbert.index.ingest import writer

if __name__ == "__main__":
    from video_colbert.cli import main

    writer._CLIPS_BETWEEN_WRITES = 3
    raise SystemExit(main(sys.argv[1:]))
"""


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [warm_python(), "-c", COMMAND, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def commits(folder: Path) -> int:
    return len(list(folder.glob("videos.lance/_versions/*.manifest")))


def kill_in_the_middle(folder: Path, arguments: list[str | Path], generator: random.Random) -> None:
    """Starts the command and kills it: while it starts, or at some moment after it has stored something."""
    before = commits(folder)
    process = start(*arguments)
    if generator.random() < 0.3:
        time.sleep(generator.uniform(0, 8))
    else:
        while commits(folder) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.3))
    process.kill()
    assert process.stdout is not None
    # Its end of the pipe is closed when all of it is gone.
    process.stdout.read()
    process.wait()
    process.stdout.close()


def rows(folder: Path) -> list[dict[str, object]]:
    table = lancedb.connect(folder).open_table("videos")
    return sorted(table.search().limit(None).to_list(), key=lambda row: str(row["id"]))


@pytest.mark.slow
def test_index_command_killed_ten_times_and_finished_has_every_video_once(
    tmp_path: Path, checkpoint_folder: Path
) -> None:
    videos = tmp_path / "videos"
    for seed in range(CLIPS):
        write_clip(videos / f"{seed}.mp4", seed, frames=8)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    of_index: dict[Path, list[str | Path]] = {
        folder: ["index", videos, "--model", checkpoint_folder, "--index", folder, "--batch-size", "2"]
        for folder in (undisturbed, killed)
    }
    assert start(*of_index[undisturbed]).wait() == 0
    generator = random.Random()
    stored = []
    for _ in range(KILLS):
        kill_in_the_middle(killed, of_index[killed], generator)
        stored.append(len(LanceIndex.open(killed)) if LanceIndex.exists(killed) else 0)
    # Nothing that was stored is lost, and there were kills in the middle.
    assert stored == sorted(stored)
    assert len({number for number in stored if 0 < number < CLIPS}) >= 3
    assert start(*of_index[killed]).wait() == 0
    expected, found = rows(undisturbed), rows(killed)
    assert len(found) == CLIPS
    for row, other in zip(found, expected, strict=True):
        for name in ("id", "path", "digest", "start", "end", "duration", "timestamps"):
            assert row[name] == other[name]
        for name in ("frame_tokens", "video_tokens", "pooled"):
            # A clip may have gone through the model in another batch.
            assert np.allclose(np.array(row[name]), np.array(other[name]), atol=2e-3)
