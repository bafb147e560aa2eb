from __future__ import annotations

import io

import pytest

from video_colbert.progress import progress_bar


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
