"""How the demo ends: with the page over its index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import demo
import pytest


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run, in place of running them."""
    commands: list[list[str]] = []
    monkeypatch.setattr(demo.subprocess, "run", lambda command, **_: commands.append(command))
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: object())
    return commands


def test_it_says_the_address_and_the_command_and_does_not_serve_by_itself(
    ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    demo.show_page(Path("runs/demo/index"), serves=False)
    told = capsys.readouterr().out
    assert "http://127.0.0.1:7860/" in told
    assert f"{sys.executable} -m video_colbert serve --index runs/demo/index" in told
    assert ran == []


def test_it_serves_where_that_is_asked_for(ran: list[list[str]]) -> None:
    demo.show_page(Path("runs/demo/index"), serves=True)
    assert ran == [[sys.executable, "-m", "video_colbert", "serve", "--index", "runs/demo/index"]]


def test_leaving_the_page_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> subprocess.CompletedProcess[bytes]:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(demo.subprocess, "run", interrupted)
    demo.show_page(Path("index"), serves=True)


def test_without_the_extra_it_says_which_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    demo.show_page(Path("index"), serves=True)
    assert "pip install -e '.[app]'" in capsys.readouterr().out
