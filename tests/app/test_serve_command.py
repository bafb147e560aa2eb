"""The command as a process of its own, from its first line to Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra [app]")

import httpx

from tests.app.running_server import call
from tests.video_files import write_clip
from tests.warm_python import warm_python

pytestmark = pytest.mark.slow


def test_a_folder_is_served_while_it_is_indexed_and_ctrl_c_ends_quietly(
    tmp_path: Path, checkpoint_folder: Path
) -> None:
    for seed in range(2):
        write_clip(tmp_path / "videos" / f"{seed}.mp4", seed)
    process = subprocess.Popen(
        [
            *(warm_python(), "-m", "video_colbert", "serve", str(tmp_path / "videos")),
            *("--model", str(checkpoint_folder), "--port", "0", "--device", "cpu", "--no-open"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "VIDEO_COLBERT_CACHE": str(tmp_path / "cache")},
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    with httpx.Client(base_url=address, timeout=60.0) as client:
        deadline = time.monotonic() + 120
        while '"videos": 2,' not in call(client, "info").text and time.monotonic() < deadline:
            time.sleep(0.5)
        assert call(client, "search", text="a dog").text.count('"rank": ') == 2
        with httpx.stream("GET", f"{address}gradio_api/heartbeat/x", timeout=5.0):
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    err = process.stderr.read() if process.stderr else ""
    assert code == 0, err
    assert "Traceback" not in err
    assert err.strip().endswith("The server has ended.")
