"""The command line as a person at a terminal sees it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.commands.terminal import COLUMNS, CTRL_C, CTRL_D, Terminal, terminal
from tests.video_files import write_clip

_PROMPT = "search> "
# What a terminal obeys, such as the colours and the cursor of readline and of progress bars.
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# Searches for "slow" as long as nobody interrupts it.
_SLOW_SEARCH = """
import sys, time
from video_colbert.cli import main
from video_colbert.index import Index

if __name__ == "__main__":
    search = Index.search

    def slowly(index, queries, **options):
        if list(queries.texts) == ["slow"]:
            print("begun", flush=True)
            time.sleep(600)
        return search(index, queries, **options)

    Index.search = slowly
    sys.exit(main(sys.argv[1:]))
"""

# Takes half a second for each clip, as a model on a slow machine does.
_SLOW_INDEXING = """
import sys, time
from video_colbert.cli import main
from video_colbert.encoding.encoder import VideoColBERTEncoder

if __name__ == "__main__":
    encode = VideoColBERTEncoder.encode_decoded

    def slowly(encoder, batch):
        time.sleep(0.5)
        return encode(encoder, batch)

    VideoColBERTEncoder.encode_decoded = slowly
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Variables by which nothing is read or kept outside of the test."""
    return {"VIDEO_COLBERT_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def index(tmp_path: Path, clip_backbone_folder: Path, run_command: RunCommand) -> Path:
    """An index of three clips, made by a model that says at each loading that it is zero-shot."""
    for seed in range(3):
        write_clip(tmp_path / "videos" / f"{seed}.mp4", seed)
    command = ("index", tmp_path / "videos", "--model", clip_backbone_folder, "--index", tmp_path / "index")
    assert run_command(*command)[0] == 0
    return tmp_path / "index"


def lines_of(shown: str) -> list[str]:
    """What is left on the screen of each line."""
    return [line.rsplit("\r", 1)[-1] for line in _CONTROLS.sub("", shown).replace("\r\n", "\n").split("\n")]


def times_of_bars(opened: Terminal) -> list[float]:
    """When a bar over the four files was drawn."""
    return [time for time, shown in opened.times if "/4 files" in shown]


def test_a_prompt_answers_query_after_query_with_one_loading_of_the_model(
    tmp_path: Path, index: Path, home: dict[str, str]
) -> None:
    command = ("-m", "video_colbert", "search", "--index", index, "--top-k", "2")
    with terminal(*command, folder=tmp_path, environment=home) as opened:
        opened.expect(_PROMPT)
        answers = []
        for query in ("a red circle and a dog", "a blue square", "a cat"):
            opened.type(f"{query}\n")
            answers.append(lines_of(opened.expect(_PROMPT)))
        opened.type(CTRL_D)
        assert opened.end() == 0
        shown = opened.seen
    assert shown.count("searching zero-shot") == 1
    for answer in answers:
        hits = [line for line in answer if re.match(r" [12]\. videos/[0-2]\.mp4 ", line)]
        assert len(hits) == 2, answer
        assert all(len(line) <= COLUMNS for line in answer)
    # Queries of an earlier run are a key away, and an empty line ends too.
    with terminal(*command, folder=tmp_path, environment=home) as opened:
        opened.expect(_PROMPT)
        opened.type("\x1b[A\x1b[A\n")
        assert "a blue square" in opened.expect(_PROMPT)
        opened.type("\n")
        assert opened.end() == 0


def test_ctrl_c_ends_the_search_that_runs_and_no_more(tmp_path: Path, index: Path, home: dict[str, str]) -> None:
    script = tmp_path / "slow.py"
    script.write_text(_SLOW_SEARCH)
    with terminal(script, "search", "--index", index, folder=tmp_path, environment=home) as opened:
        opened.expect(_PROMPT)
        opened.type("slow\n")
        opened.expect("begun")
        opened.type(CTRL_C)
        opened.expect("This search was cancelled.")
        opened.expect(_PROMPT)
        # At the prompt it drops what was typed.
        opened.type("slo")
        opened.expect("slo")
        opened.type_until(CTRL_C, _PROMPT)
        opened.type("a cat\n")
        opened.expect(" 3. videos/")
        opened.expect(_PROMPT)
        opened.type(CTRL_D)
        assert opened.end() == 0
        assert "Traceback" not in opened.seen


def test_indexing_shows_that_it_moves_and_goes_on_after_ctrl_c(
    tmp_path: Path, clip_backbone_folder: Path, home: dict[str, str]
) -> None:
    for seed in range(4):
        write_clip(tmp_path / "videos" / f"{seed}.mp4", seed)
    script = tmp_path / "slow.py"
    script.write_text(_SLOW_INDEXING)
    # Of 3 s each, and so of two windows.
    options = ("--index", "index", "--windows", "2", "--batch-size", "1")
    command = (script, "index", "videos", "--model", clip_backbone_folder, *options)
    with terminal(*command, folder=tmp_path, environment=home) as opened:
        opened.expect("2/4 files")
        opened.type(CTRL_C)
        assert opened.end() == 130
        first, first_seen = times_of_bars(opened), opened.seen
        assert lines_of(opened.seen)[-2] == "video-colbert: interrupted; what was done is kept"
        assert "Traceback" not in opened.seen
    with terminal(*command, folder=tmp_path, environment=home) as opened:
        assert opened.end() == 0
        second = times_of_bars(opened)
        assert re.search(r"added, \d+ already there; the index in index holds 4 videos in 8 windows", opened.seen)
    # It moves with every window, also where a file is not finished.
    assert len(set(re.findall(r"indexing (\d/4 files, \d/\d windows)", first_seen))) > 2
    for times in (first, second):
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 2.0
    # Long enough for a bar that moves only now and then to show as a gap.
    assert first[-1] - first[0] + second[-1] - second[0] > 2.0
