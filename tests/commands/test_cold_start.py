"""What a command imports before it is known to need it, and what it asks of the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip
from tests.warm_python import warm_python

# Runs a command, and says which of the heavy libraries it imported and which processes it started.
RUN = """
import multiprocessing.process, sys
from video_colbert.cli import main
started = []
start = multiprocessing.process.BaseProcess.start
multiprocessing.process.BaseProcess.start = lambda self: (started.append(self.name), start(self))
code = main(sys.argv[1:])
heavy = {"torch", "transformers", "lancedb", "huggingface_hub", "av"} & set(sys.modules)
print(code, len(started), *sorted(heavy), sep="|")
"""


def run(*arguments: str | Path, environment: dict[str, str] | None = None) -> tuple[int, int, set[str], str]:
    """Exit code, processes started, heavy modules, and the notices."""
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    assert done.returncode == 0, done.stderr
    code, started, *heavy = done.stdout.splitlines()[-1].split("|")
    return int(code), int(started), set(heavy), done.stderr


def run_each(*commands: tuple[str | Path, ...], environment: dict[str, str]) -> None:
    """Runs commands one after the other, each in a process that knows nothing of the others; all must succeed."""
    for command in commands:
        words = [warm_python(), "-m", "video_colbert", *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "videos" / "a.mp4", 0).parent


def test_a_wrong_index_is_noticed_without_a_heavy_library(tmp_path: Path) -> None:
    code, _, heavy, err = run("search", "a dog", "--index", tmp_path / "none")
    assert (code, heavy) == (1, set())
    assert f"there is no index in {tmp_path / 'none'}" in err


def test_a_missing_folder_is_noticed_without_a_heavy_library(tmp_path: Path) -> None:
    code, _, heavy, err = run("index", tmp_path / "none", "--index", tmp_path / "index")
    assert (code, heavy) == (1, set())
    assert f"{tmp_path / 'none'}" in err


def test_index_with_nothing_new_loads_no_torch_and_starts_no_process(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    index = ("index", videos, "--index", tmp_path / "index", "--model", checkpoint_folder)
    (videos / "bad.mp4").write_text("no video")
    assert run_command(*index)[0] == 3
    code, started, heavy, err = run(*index)
    assert (code, started, heavy & {"torch", "transformers", "av"}) == (0, 0, set())
    assert "1 known bad" in err


def test_index_with_nothing_new_still_refuses_another_model(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, clip_backbone_folder: Path, run_command: RunCommand
) -> None:
    assert run_command("index", videos, "--index", tmp_path / "index", "--model", checkpoint_folder)[0] == 0
    code, _, heavy, err = run("index", videos, "--index", tmp_path / "index", "--model", clip_backbone_folder)
    assert (code, "torch" in heavy) == (1, False)
    assert "was made with" in err


def test_a_model_in_the_cache_is_used_without_a_request(tmp_path: Path, videos: Path, checkpoint_folder: Path) -> None:
    with HubStandIn() as hub:
        hub.host("other/model", checkpoint_folder)
        environment = dict(hub.environment(tmp_path / "home"))
        index = ("index", videos, "--model", "other/model", "--index")
        run_each((*index, tmp_path / "index"), environment=environment)
        asked = len(hub.log)
        assert asked
        write_clip(videos / "b.mp4", 1)
        run_each(
            ("search", "a dog", "--index", tmp_path / "index"),
            (*index, tmp_path / "index"),
            (*index, tmp_path / "another"),
            ("search", "a dog", "--index", tmp_path / "index", "--model", "other/model"),
            environment=environment,
        )
        assert len(hub.log) == asked


def test_a_decoding_process_starts_without_transformers() -> None:
    code = "import sys, video_colbert.encoding.decoding_process; print('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
