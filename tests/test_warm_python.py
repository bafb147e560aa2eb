"""The Python that tests start in place of one of their own behaves as one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.warm_python import warm_python

TELL = "import os, sys; print(os.environ['TOLD'], os.getcwd(), sys.argv[1:], __name__, sys.path[0] == '')"


@pytest.mark.parametrize("python", [sys.executable, None], ids=["own", "warm"])
def test_a_process_has_its_environment_folder_arguments_files_and_code(tmp_path: Path, python: str | None) -> None:
    read, write = os.pipe()
    done = subprocess.run(
        [
            python or warm_python(),
            "-c",
            f"{TELL}; os.write({write}, sys.stdin.read().encode()); sys.exit(7)",
            "a b",
            "ü",
        ],
        cwd=tmp_path,
        env={"TOLD": "yes", "PATH": os.environ["PATH"]},
        input="given",
        capture_output=True,
        text=True,
        pass_fds=[write],
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == f"yes {tmp_path} ['a b', 'ü'] __main__ True\n"
    with os.fdopen(read) as file:
        assert file.read() == "given"


def test_nothing_that_reads_the_environment_is_held() -> None:
    code = (
        "import sys; print({'torch', 'transformers', 'huggingface_hub', 'video_colbert', 'lancedb'} & {*sys.modules})"
    )
    assert subprocess.run([warm_python(), "-c", code], capture_output=True, text=True).stdout == "{'torch'}\n"


def test_a_script_and_a_module_run_as_the_main_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import beside, sys; print(__name__, __file__, sys.argv, beside.NAME)")
    (tmp_path / "beside.py").write_text("NAME = __name__")
    script = tmp_path / "script.py"
    done = subprocess.run([warm_python(), script, "x"], capture_output=True, text=True)
    assert done.stdout == f"__main__ {script} ['{script}', 'x'] beside\n", done.stderr
    done = subprocess.run([warm_python(), "-m", "script", "x"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == f"__main__ {script} ['{script}', 'x'] beside\n", done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_the_process_and_is_how_it_ends(number: signal.Signals) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [warm_python(), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        pid = int(output.readline())
    process.send_signal(number)
    assert process.wait(20) == -number
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_error_is_a_traceback_and_an_exit_code_of_1() -> None:
    done = subprocess.run([warm_python(), "-c", "1 / 0"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_another_encoding_gets_a_python_of_its_own() -> None:
    code = "import sys; print(sys.stdout.encoding, 'torch' in sys.modules)"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([warm_python(), "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "cp1252 False\n"
