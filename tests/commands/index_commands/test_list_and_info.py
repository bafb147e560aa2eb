from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.processing import decode_video


@pytest.fixture
def index(tmp_path: Path, checkpoint_folder: Path, run_command: RunCommand) -> Path:
    """An index of three videos of 3, 3 and 10 seconds, in windows of at most 4 seconds, of the years 2019 to 2021."""
    lines = []
    for seed, frames in enumerate((12, 12, 40)):
        path = write_clip(tmp_path / "videos" / f"{seed}.mp4", seed, frames=frames)
        lines.append(json.dumps({"video": str(path), "year": 2019 + seed}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    options = ("--windows", "4", "--metadata", tmp_path / "metadata.jsonl")
    command = ("index", tmp_path / "videos", "--model", checkpoint_folder, "--index", tmp_path / "index", *options)
    assert run_command(*command)[0] == 0
    return tmp_path / "index"


def paths(index: Path, *names: str) -> list[str]:
    return [str(index.parent / "videos" / f"{name}.mp4") for name in names]


def test_list_gives_each_video_once_or_those_of_a_condition(index: Path, run_command: RunCommand) -> None:
    assert run_command("list", "--index", index)[1].splitlines() == paths(index, "0", "1", "2")
    assert run_command("list", "--index", index, "--where", "year >= 2020")[1].splitlines() == paths(index, "1", "2")
    assert run_command("list", "--index", index, "--where", "year > 3000")[1:] == ("", "")
    code, out, err = run_command("list", "--index", index, "--where", "yaer > 3000")
    assert (code, out) == (1, "")
    assert "there is no column 'yaer'" in err


def test_long_list_has_durations_and_windows(index: Path, run_command: RunCommand) -> None:
    lines = [line.split() for line in run_command("list", "--index", index, "--long")[1].splitlines()]
    assert [(line[0], line[1], line[3]) for line in lines] == [
        ("0:03.0", "1", paths(index, "0")[0]),
        ("0:03.0", "1", paths(index, "1")[0]),
        ("0:10.0", "3", paths(index, "2")[0]),
    ]


def test_list_as_json_tells_what_is_known(index: Path, run_command: RunCommand) -> None:
    listed = json.loads(run_command("list", "--index", index, "--json", "--where", "year = 2021")[1])
    [video] = listed["videos"]
    assert listed["index"] == str(index)
    assert (video["path"], video["duration"], video["metadata"]) == (paths(index, "2")[0], 10.0, {"year": 2021})
    file = Path(video["path"]).stat()
    assert (video["size"], video["modified"]) == (file.st_size, pytest.approx(file.st_mtime))
    assert (video["width"], video["height"]) == decode_video(video["path"], 1).frames.shape[2:0:-1]
    assert [(window["start"], window["end"]) for window in video["windows"]] == [(0.0, 4.0), (4.0, 8.0), (6.0, 10.0)]


def test_info_says_what_the_index_is_and_holds(index: Path, run_command: RunCommand, checkpoint_folder: Path) -> None:
    told = json.loads(run_command("info", "--index", index, "--json")[1])
    assert told["model"].startswith(f"{checkpoint_folder} at revision ")
    assert (told["num_frames"], told["num_videos"], told["num_entries"]) == (6, 3, 5)
    assert told["seconds"] == pytest.approx(16.0, abs=0.01)
    assert told["num_bytes"] == sum(file.stat().st_size for file in index.rglob("*") if file.is_file())
    assert told["folders"] == [str(index.parent / "videos")]
    assert told["columns"]["year"] == "whole numbers"
    assert (told["columns"]["path"], told["columns"]["modified"]) == ("text", "times")
    assert told["number_formats"] == ["float32"]
    table = dict(line.split("  ", 1) for line in run_command("info", "--index", index)[1].splitlines())
    assert table["duration"].strip() == "0:16.0"
    assert "year (whole numbers)" in table["to filter by"]


@pytest.mark.parametrize("command", ["info", "list", "search red", "remove a.mp4", "forget a.mp4"])
def test_an_index_that_is_not_there_is_one_sentence(tmp_path: Path, run_command: RunCommand, command: str) -> None:
    code, out, err = run_command(*command.split(), "--index", tmp_path / "none")
    assert (code, out) == (1, "")
    assert err == f"video-colbert: there is no index in {tmp_path / 'none'}; make one with `video-colbert index`\n"
    assert not (tmp_path / "none").exists()
