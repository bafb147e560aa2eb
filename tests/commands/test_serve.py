"""`video-colbert serve`: what it says before it starts, and what is served to whom."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand

LONG = "correct horse battery"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to serve: folders of videos, such as `serve .`, or --index DIR"),
        (("--host", "0.0.0.0"), "others than this machine reach the server; say who may ask it by --token"),  # noqa: S104
        (("--host", "192.168.1.5"), "or by --no-auth that everybody may"),
        (("--token", "short"), "--token must have at least 12 letters"),
        (("--token", LONG, "--no-auth"), "--token and --no-auth contradict each other"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    run_command: RunCommand, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run_command("serve", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_missing_index_is_said(run_command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    code, _, err = run_command("serve", "--index", tmp_path / "none")
    assert (code, err) == (
        1,
        f"video-colbert: there is no index in {tmp_path / 'none'}; make one with `video-colbert index`\n",
    )


def test_a_missing_extra_is_said(run_command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = run_command("serve", "my_videos")
    assert code == 1
    assert err.endswith("which is not installed: pip install 'video-colbert[app]'\n")


def test_a_port_in_use_is_said(run_command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run_command("serve", tmp_path, "--port", str(port))
    assert code == 1
    assert f"port {port} of 127.0.0.1 is in use; choose another with --port, or --port 0 for one that is free" in err


def test_a_port_that_is_none_is_refused(run_command: RunCommand, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command("serve", ".", "--port", "70000")
    assert "must be a number from 0 to 65535, got '70000'" in capsys.readouterr().err
