from __future__ import annotations

import io
import threading
import time

import pytest

from video_colbert.progress import RunProgress, followed_by, progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_on_a_terminal_and_in_a_notebook_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    file, terminal = io.StringIO(), Terminal()
    assert list(progress_bar(range(3), desc="counting", file=file)) == [0, 1, 2]
    assert file.getvalue() == ""
    assert list(progress_bar(range(3), desc="counting", file=terminal)) == [0, 1, 2]
    assert "counting: 100%" in terminal.getvalue()
    monkeypatch.setattr("video_colbert.progress._IN_NOTEBOOK", True)
    assert list(progress_bar(range(3), desc="counting", file=file)) == [0, 1, 2]
    assert "counting: 100%" in file.getvalue()


def test_a_bar_that_is_not_wanted_shows_nowhere() -> None:
    terminal = Terminal()
    assert list(progress_bar(range(3), is_shown=False, file=terminal)) == [0, 1, 2]
    assert terminal.getvalue() == ""


def test_a_run_moves_on_a_terminal_while_nothing_is_finished() -> None:
    terminal = Terminal()
    with RunProgress("indexing", 2, file=terminal, ncols=80) as progress:
        progress.update(0.5, "0/2 files, 3/6 windows")
        drawn = terminal.getvalue()
        deadline = time.monotonic() + 10
        while terminal.getvalue().count("\r") < drawn.count("\r") + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        moved = terminal.getvalue().removeprefix(drawn)
        assert [line for line in moved.split("\r") if "00:01" in line]
        progress.update(2, "2/2 files, 6/6 windows")
    last = terminal.getvalue().replace("\n", "").split("\r")[-1]
    assert last.startswith("indexing 2/2 files, 6/6 windows: 100%|")
    assert "indexing 0/2 files, 3/6 windows:  25%|" in terminal.getvalue()
    assert all(len(line) <= 80 for line in terminal.getvalue().replace("\n", "").split("\r"))


def test_without_a_terminal_a_run_gives_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress("indexing", 2, seconds_between_lines=0.1) as progress:
        progress.update(0.5, "0/2 files, 3/6 windows")
        time.sleep(0.25)
        progress.update(1.5, "1/2 files, 5/6 windows")
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 4
    assert lines[0] == "indexing 0/2 files, 3/6 windows (00:00)"
    assert lines[-1] == "indexing 1/2 files, 5/6 windows (00:00)"
    with RunProgress("indexing", 2) as progress:
        progress.update(2, "2/2 files")
    assert capsys.readouterr().err == ""


def test_in_a_notebook_a_run_is_drawn_by_its_own_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video_colbert.progress._IN_NOTEBOOK", True)
    file = io.StringIO()
    with RunProgress("indexing", 2, file=file) as progress:
        assert "progress" not in {thread.name for thread in threading.enumerate()}
        progress.update(2, "2/2 files")
    assert "indexing 2/2 files: 100%" in file.getvalue()


def test_a_run_that_is_followed_tells_its_follower_and_nobody_else() -> None:
    terminal, told = Terminal(), []
    with followed_by(lambda *progress: told.append(progress)), RunProgress("indexing", 2, file=terminal) as progress:
        progress.update(0.5, "half a file")
        progress.update(2, "all")
    assert told == [(0.5, 2, "half a file"), (2, 2, "all")]
    assert terminal.getvalue() == ""
    with RunProgress("indexing", 2, file=terminal) as progress:
        progress.update(1, "one")
    assert len(told) == 2
