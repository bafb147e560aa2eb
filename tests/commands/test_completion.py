"""What TAB gives, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import argcomplete
import pytest

from tests.commands.conftest import RunCommand


def completions(line: str, answer: Path) -> set[str]:
    """What the command line says of how a line may go on."""
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run([sys.executable, "-m", "video_colbert"], env=environment, capture_output=True)
    return {word.strip() for word in answer.read_text().splitlines()}


def test_commands_flags_and_values_are_completed(tmp_path: Path) -> None:
    assert {"search", "info", "forget"} <= completions("video-colbert ", tmp_path / "commands")
    assert completions("video-colbert search --index x --pa", tmp_path / "flags") == {"--paths-only"}
    assert completions("video-colbert index --codec ", tmp_path / "values") == {
        "float16",
        "int8",
        "compact",
        "float32",
    }


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete "), ("zsh", "compdef "), ("fish", "complete ")])
def test_each_shell_gets_code_that_it_can_run(run_command: RunCommand, shell: str, word: str) -> None:
    code, out, _ = run_command("completion", shell)
    assert code == 0
    assert word in out
    # Nothing in it is written as an escape.
    assert out == argcomplete.shellcode(["video-colbert"], shell=shell) + "\n"


def test_bash_takes_the_code(run_command: RunCommand) -> None:
    script = run_command("completion", "bash")[1] + "\ncomplete -p video-colbert\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "video-colbert" in done.stdout
