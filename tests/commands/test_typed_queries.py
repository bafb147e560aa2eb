from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert.index import Index


@pytest.fixture
def index(
    tmp_path: Path, clip_backbone_folder: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An index of two clips, made by a model that says at each loading that it is zero-shot."""
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    for seed in range(2):
        write_clip(tmp_path / "videos" / f"{seed}.mp4", seed)
    command = ("index", tmp_path / "videos", "--model", clip_backbone_folder, "--index", tmp_path / "index")
    assert run_command(*command)[0] == 0
    return tmp_path / "index"


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Has standard input be a pipe with this content."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_a_line_of_a_pipe_is_a_query_and_the_model_is_loaded_once(
    index: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, b"a red circle\n  a dog \nbl\xc3\xbcht\n\n  \nafter empty lines\n")
    code, out, err = run_command("search", "--index", index, "--json")
    assert code == 0
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["query"] for answer in answers] == ["a red circle", "a dog", "blüht", "after empty lines"]
    assert err.count("searching zero-shot") == 1
    for answer in answers:
        alone = json.loads(run_command("search", *answer["query"].split(), "--index", index, "--json")[1])
        assert answer == alone


def test_text_names_each_query_and_paths_stay_plain(
    index: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, b"red\ncat")
    out = run_command("search", "--index", index, "--top-k", "1")[1]
    parts = out.strip().split("\n\n")
    assert [part.splitlines()[0] for part in parts] == ["red", "cat"]
    pipe(monkeypatch, b"red\ncat\n")
    paths = run_command("search", "--index", index, "--paths-only")[1].splitlines()
    assert len(paths) == 4
    assert all(Path(path).is_file() for path in paths)


def test_one_page_holds_all_queries(
    tmp_path: Path, index: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, b"red\ncat\n")
    assert run_command("search", "--index", index, "--html", tmp_path / "page.html")[0] == 0
    page = (tmp_path / "page.html").read_text()
    assert "<h2>red</h2>" in page
    assert "<h2>cat</h2>" in page


def test_a_search_that_is_interrupted_or_fails_leaves_the_next_ones(
    index: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, calls = Index.search, []

    def interrupted(self: Index, *arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return search(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Index, "search", interrupted)
    pipe(monkeypatch, b"one\ntwo\n")
    code, out, err = run_command("search", "--index", index, "--json")
    assert code == 0
    assert [json.loads(line)["query"] for line in out.splitlines()] == ["two"]
    assert "This search was cancelled." in err
    pipe(monkeypatch, b"one\n")
    code, out, err = run_command("search", "--index", index, "--level-weights", "speech=1")
    assert (code, out) == (1, "")
    assert "--level-weights names 'speech'" in err


def test_no_standard_input_is_no_query(index: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run_command("search", "--index", index)[:2] == (0, "")
