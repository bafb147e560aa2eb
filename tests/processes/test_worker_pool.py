from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from video_colbert.errors import WorkerError
from video_colbert.processes.worker_pool import Failure, WorkerPool
from video_colbert.processes.worker_server import start_worker_server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _own_server() -> Iterator[None]:
    """A server that imports this file, and that no other test gets, for each imports what the first of them asks."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def start_doubling() -> Callable[[int], int]:
    return _double


def start_waiting() -> Callable[[float], int]:
    return _wait


def start_nothing() -> Callable[[int], int]:
    os._exit(7)


def _double(number: int) -> int:
    if number < 0:
        os.kill(os.getpid(), -number)
    return 2 * number


def _wait(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_every_task_is_answered_whatever_the_order() -> None:
    with WorkerPool(start_doubling, workers=2, timeout=60.0) as pool:
        results = {finished.task: finished.answer for finished in pool.results(range(50))}
    assert results == {number: 2 * number for number in range(50)}


def test_task_that_kills_its_process_twice_is_a_failure_and_no_other_is_lost() -> None:
    with WorkerPool(start_doubling, workers=2, timeout=60.0) as pool:
        results = {finished.task: finished.answer for finished in pool.results([1, -signal.SIGSEGV, 2, 3, 4])}
    assert results.pop(-signal.SIGSEGV) == Failure("made its process crash 2 times (SIGSEGV)")
    assert results == {1: 2, 2: 4, 3: 6, 4: 8}


def test_task_that_does_not_end_is_a_failure_after_the_timeout_and_what_waited_behind_it_is_done() -> None:
    with WorkerPool(start_waiting, workers=1, timeout=1.0) as pool:
        results = {finished.task: finished.answer for finished in pool.results([3600.0, 0.0, 0.1])}
    assert results.pop(3600.0) == Failure("did not end within 1 s")
    assert all(isinstance(pid, int) for pid in results.values())


def test_server_and_workers_that_are_killed_together_are_replaced() -> None:
    with WorkerPool(start_waiting, workers=3, timeout=60.0) as pool:
        tasks = [0.2 + number / 1000 for number in range(12)]
        results = pool.results(tasks)
        done = [next(results).task]
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        for pid in (server, *pool.pids):
            os.kill(pid, signal.SIGKILL)
        done += [finished.task for finished in results if not isinstance(finished.answer, Failure)]
    assert sorted(done) == tasks


def test_processes_that_cannot_start_are_an_error() -> None:
    with (
        WorkerPool(start_nothing, workers=2, timeout=60.0) as pool,
        pytest.raises(WorkerError, match=r"cannot be started \(exit code"),
    ):
        list(pool.results([1]))


def test_waiting_ends_when_another_thread_wakes_it() -> None:
    with WorkerPool(start_waiting, workers=1, timeout=60.0) as pool:
        while not pool.wait():
            pool.hand_out(lambda _: None if pool.is_busy else 0.0)
        threading.Timer(0.05, pool.wake).start()
        start = time.monotonic()
        assert pool.wait() == []
        assert time.monotonic() - start < 0.9


def test_closing_leaves_no_process_whatever_they_do() -> None:
    with WorkerPool(start_waiting, workers=2, timeout=60.0) as pool:
        while not pool.is_busy:
            pool.wait()
            pool.hand_out(lambda _: 3600.0)
        pids = pool.pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(("workers", "timeout", "name"), [(0, 1.0, "workers"), (1, 0.0, "timeout")])
def test_numbers_out_of_range_are_refused(workers: int, timeout: float, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        WorkerPool(start_doubling, workers=workers, timeout=timeout)


# Prints what came of doubling 1 to 3; no main guard, which a script of a user's need not have.
SCRIPT = """
from tests.processes.test_worker_pool import start_doubling
from video_colbert.processes.worker_pool import WorkerPool

with WorkerPool(start_doubling, workers=2, timeout=60.0) as pool:
    print(sorted(finished.answer for finished in pool.results([1, 2, 3])))
"""


def run_script(script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script.write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_script_without_a_main_guard_starts_workers_once(tmp_path: Path) -> None:
    run = run_script(tmp_path / "script.py")
    assert (run.returncode, run.stdout, run.stderr) == (0, "[2, 4, 6]\n", "")


def test_a_folder_for_temporary_files_with_a_long_name_does_not_matter(tmp_path: Path) -> None:
    long = tmp_path / ("t" * 60) / ("u" * 60)
    long.mkdir(parents=True)
    run = run_script(tmp_path / "script.py", TMPDIR=str(long))
    assert (run.returncode, run.stdout, run.stderr) == (0, "[2, 4, 6]\n", "")


def test_no_folder_for_temporary_files_is_one_sentence_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", find_none)
    with pytest.raises(WorkerError, match=r"cannot be started: No usable temporary directory found; set TMPDIR to"):
        start_worker_server("json")


# Starts the server, which imports slowly, says so, and waits to be interrupted.
INTERRUPTED = """
import time
from video_colbert.processes.worker_server import start_worker_server

try:
    start_worker_server("slow_import")
    print("started", flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_while_the_server_starts_leaves_no_traceback_of_it(tmp_path: Path) -> None:
    (tmp_path / "slow_import.py").write_text("import time\ntime.sleep(2)\n")
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.5)
        # To the whole group, as a terminal does it.
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (output, errors) == ("interrupted\n", "")
