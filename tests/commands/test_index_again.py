"""A second `video-colbert index`: bad files that are known, files that are gone, and files that are the same."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_bad_files, write_clip
from video_colbert.encoding.encoding_plan import Outcome, ReadDigest, Task
from video_colbert.index import open_index
from video_colbert.index.ingest.plan import IngestPlan

RunIndex = Callable[..., tuple[int, str, str]]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    for seed in range(2):
        write_clip(folder / f"clip{seed}.mp4", seed)
    return folder


@pytest.fixture(params=["lance", "qdrant"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "qdrant":
        pytest.importorskip("qdrant_client")
        return f"qdrant+local://{tmp_path}/index"
    return str(tmp_path / "index")


@pytest.fixture
def index(run_command: RunCommand, videos: Path, checkpoint_folder: Path, location: str) -> RunIndex:
    """Runs `video-colbert index` over the videos."""

    def run(*options: str) -> tuple[int, str, str]:
        return run_command("index", videos, "--model", checkpoint_folder, "--index", location, *options)

    return run


def noted_names(location: str) -> set[str]:
    with open_index(location) as opened:
        return {Path(bad.path).name for bad in opened.stored.notes.bad_files}


def test_bad_files_are_known_the_second_time_and_tried_again_on_request(
    index: RunIndex, videos: Path, location: str
) -> None:
    bad = write_bad_files(videos / "bad")
    code, out, _ = index()
    assert (code, "2 added, 4 bad; " in out) == (3, True)
    assert noted_names(location) == {path.name for path in bad.values()}
    code, out, err = index()
    assert (code, "0 added, 2 already there, 4 known bad; " in out) == (0, True)
    assert "4 known bad from an earlier run; --retry-bad tries them again." in err
    assert "Bad files" not in out
    code, out, _ = index("--retry-bad")
    assert (code, "0 added, 2 already there, 4 bad; " in out) == (3, True)


def test_known_bad_files_are_forgotten_when_they_are_good_or_gone_and_follow_a_move(
    index: RunIndex, videos: Path, location: str
) -> None:
    bad = write_bad_files(videos / "bad")
    index()
    bad["text"].unlink()
    write_clip(bad["truncated"], 7)
    bad["audio"].rename(videos / "sound.mp4")
    code, out, _ = index()
    assert (code, "1 added, 2 already there, 2 known bad; " in out) == (0, True)
    assert noted_names(location) == {"empty.mp4", "sound.mp4"}
    (videos / "other.mp4").write_text("These are other words, and no film either.")
    code, out, _ = index()
    assert (code, "0 added, 3 already there, 1 bad, 2 known bad; " in out) == (3, True)
    assert noted_names(location) == {"empty.mp4", "sound.mp4", "other.mp4"}


def test_what_may_pass_is_not_remembered(index: RunIndex, location: str) -> None:
    code, out, _ = index("--max-pixels", "100")
    assert (code, "0 added, 2 bad; " in out) == (3, True)
    assert noted_names(location) == set()
    # A file may be read within the time all the same.
    index("--timeout", "0.000001")
    assert noted_names(location) == set()
    assert index()[0] == 0
    with open_index(location) as opened:
        assert len(opened) == 2


def test_known_bad_files_are_not_decoded(index: RunIndex, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bad_files(videos / "bad")
    index()
    asked: list[object] = []
    take = IngestPlan.take

    def noted(self: IngestPlan, task: Task, outcome: Outcome) -> object:
        asked.append(task)
        return take(self, task, outcome)

    monkeypatch.setattr(IngestPlan, "take", noted)
    assert index()[0] == 0
    assert len(asked) == 6
    assert {type(task) for task in asked} == {ReadDigest}


def test_files_that_are_gone_are_counted_and_pruned(index: RunIndex, videos: Path, location: str) -> None:
    index()
    (videos / "clip0.mp4").unlink()
    code, out, err = index()
    assert (code, "0 added, 1 already there, 1 gone; " in out) == (0, True)
    assert "1 gone; --prune removes them from the index." in err
    code, out, err = index("--prune")
    assert (code, "0 added, 1 already there, 1 pruned; " in out) == (0, True)
    assert " gone" not in out.splitlines()[0].split(";")[0] + err
    with open_index(location) as opened:
        assert [Path(video.path).name for video in opened.videos] == ["clip1.mp4"]


def test_a_renamed_file_is_not_gone(index: RunIndex, videos: Path) -> None:
    index()
    (videos / "clip0.mp4").rename(videos / "renamed.mp4")
    code, out, err = index()
    assert (code, "0 added, 1 already there, 1 moved; " in out) == (0, True)
    assert " gone" not in out.splitlines()[0].split(";")[0] + err


def test_files_of_the_same_content_are_named_ten_at_most(
    index: RunIndex, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(videos)
    for number in range(12):
        shutil.copy(videos / "clip0.mp4", videos / f"copy{number:02d}.mp4")
    _, out, _ = index()
    lines = out.splitlines()
    first = lines.index("Of the same content as another:")
    named = lines[first + 1 :]
    assert "2 added, 12 of the same content as another; " in lines[0]
    assert named[-1] == "  and 2 more"
    originals = {line.split(" is the same as ")[1] for line in named[:-1]}
    assert len(originals) == 1
    assert originals <= {"clip0.mp4", *(f"copy{number:02d}.mp4" for number in range(12))}
    assert len({line.split(" is the same as ")[0] for line in named[:-1]}) == 10


def test_times_of_files_follow_them_and_folders_are_searched_by_name(
    index: RunIndex, run_command: RunCommand, videos: Path, location: str
) -> None:
    write_clip(videos / "holiday" / "sea.mp4", 5, frames=40, size=64)
    index()
    state = (videos / "clip0.mp4").stat()
    with open_index(location) as opened:
        facts = {Path(video.path).name: video.facts for video in opened.videos}
    assert (facts["clip0.mp4"].size, facts["clip0.mp4"].modified) == (state.st_size, state.st_mtime)
    assert (facts["sea.mp4"].width, facts["sea.mp4"].height) == (64, 64)
    os.utime(videos / "clip0.mp4", (0, time.mktime((2001, 2, 3, 4, 5, 6, 0, 0, -1))))
    assert "0 added, 3 already there; " in index()[1]
    for where, names in (
        ("modified < '2001-02-03T04:06'", {"clip0"}),
        ("modified >= '2001-02-04'", {"clip1", "sea"}),
        ("path startswith 'holiday/'", {"sea"}),
        ("duration > 5 or width < 33 and path like 'clip1%'", {"sea", "clip1"}),
        (f"size == {state.st_size}", {"clip0"}),
    ):
        code, out, err = run_command("search", "red", "--index", location, "--where", where, "--json")
        assert code == 0, err
        assert {Path(hit["video"]).stem for hit in json.loads(out)["hits"]} == names, where


def test_metadata_of_the_name_of_a_fact_is_refused_before_any_work(index: RunIndex, tmp_path: Path) -> None:
    (tmp_path / "about.csv").write_text("video,size\nclip0.mp4,large\n")
    code, out, err = index("--metadata", str(tmp_path / "about.csv"))
    assert (code, out) == (1, "")
    assert "metadata cannot be named 'size', which an index knows of each file itself, as size, modified, wid" in err
