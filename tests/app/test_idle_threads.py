"""How threads wait for each other in a server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from video_colbert.app.idle_threads import let_idle_threads_sleep


def test_they_sleep_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_it_is_said_before_torch_is_loaded_which_reads_it_once() -> None:
    told = (
        "import sys, video_colbert.commands.serve\n"
        "from video_colbert.app.idle_threads import let_idle_threads_sleep\n"
        "from video_colbert.app.ports import address_of\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
