"""The command line between other programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from tests.warm_python import warm_python

# Takes half a second for each clip, and says twice a second what it otherwise says every ten.
_SLOW_INDEXING = """
import sys, time
from video_colbert.cli import main
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.progress import RunProgress

if __name__ == "__main__":
    encode = VideoColBERTEncoder.encode_decoded
    assert RunProgress.__init__.__kwdefaults__ == {"seconds_between_lines": 10.0}
    RunProgress.__init__.__kwdefaults__["seconds_between_lines"] = 0.5

    def slowly(encoder, batch):
        time.sleep(0.5)
        return encode(encoder, batch)

    VideoColBERTEncoder.encode_decoded = slowly
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def index(tmp_path: Path, clip_backbone_folder: Path, run_command: RunCommand) -> Path:
    for seed, name in enumerate(("plain", "with space", "größer")):
        write_clip(tmp_path / "videos" / f"{name}.mp4", seed)
    command = ("index", tmp_path / "videos", "--model", clip_backbone_folder, "--index", tmp_path / "index")
    assert run_command(*command)[0] == 0
    return tmp_path / "index"


def run_in_shell(script: str, index: Path) -> subprocess.CompletedProcess[str]:
    """Runs a shell script in which `vc` is the command line and `$I` the index."""
    start = f'vc() {{ "{warm_python()}" -m video_colbert "$@"; }}; I={index}; '
    environment = {**os.environ, "VIDEO_COLBERT_CACHE": str(index.parent / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(["bash", "-c", start + script], capture_output=True, text=True, env=environment)


def test_hits_go_into_other_programs_and_notices_do_not(index: Path) -> None:
    sizes = run_in_shell("vc search a red circle --index $I --paths-only | xargs -d '\\n' stat -c '%s %n'", index)
    assert sizes.returncode == 0, sizes.stderr
    files = sorted((index.parent / "videos").iterdir())
    assert sorted(sizes.stdout.splitlines()) == sorted(f"{file.stat().st_size} {file}" for file in files)
    assert "searching zero-shot" in sizes.stderr
    assert "\r" not in sizes.stderr


def test_a_long_run_says_now_and_then_in_lines_how_far_it_is(tmp_path: Path, clip_backbone_folder: Path) -> None:
    for seed in range(4):
        write_clip(tmp_path / "videos" / f"{seed}.mp4", seed)
    script = tmp_path / "slow.py"
    script.write_text(_SLOW_INDEXING)
    command = [script, "index", "videos", "--model", clip_backbone_folder, "--index", "index", "--batch-size", "1"]
    done = subprocess.run([warm_python(), *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("indexing ")]
    assert len(lines) >= 3
    told = [
        int(found[1]) for line in lines if (found := re.fullmatch(r"indexing ([0-4])/4 files \(\d\d:\d\d\)", line))
    ]
    assert len(set(told)) >= 2
    assert told == sorted(told)
    assert not {"\r", "\x1b"} & set(done.stderr)
    assert done.stdout.startswith("4 added; ")


def test_queries_come_from_other_programs(index: Path) -> None:
    done = run_in_shell("printf 'a red circle\\na cat\\n' | vc search --index $I --json --top-k 1", index)
    assert [json.loads(line)["query"] for line in done.stdout.splitlines()] == ["a red circle", "a cat"]
    assert done.stderr.count("searching zero-shot") == 1
