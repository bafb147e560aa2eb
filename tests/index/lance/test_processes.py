from __future__ import annotations

import multiprocessing
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.index.index_processes import ReaderReport, add_all, content_of, read_for, write_for
from tests.index.made_videos import MODEL, make_queries
from tests.warm_python import WARM, warm_python
from video_colbert.index import LanceIndex

ROOT = Path(__file__).parents[3]
ADDING_ONE_BY_ONE = """
import sys
from tests.index.index_processes import content_of
from video_colbert.index import LanceIndex

index = LanceIndex.open(sys.argv[1])
for number in range(10_000):
    index.add([content_of(number, 0)])
    print(number, flush=True)
"""


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_readers_get_right_hits_only_while_a_writer_changes_the_index(tmp_path: Path, seconds: int) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([content_of(number, 0) for number in range(20)])
    reports: multiprocessing.queues.Queue[ReaderReport] = WARM.Queue()
    # Processes take a few seconds to start; the writer outlasts the readers' searches.
    writer = WARM.Process(target=write_for, args=(tmp_path, seconds + 2))
    readers = [WARM.Process(target=read_for, args=(tmp_path, seconds, reports)) for _ in range(4)]
    for process in (*readers, writer):
        process.start()
    found = [reports.get(timeout=seconds + 120) for _ in readers]
    for process in (*readers, writer):
        process.join()
        assert process.exitcode == 0
    assert [report.problem for report in found] == [None] * 4
    assert min(report.searches for report in found) >= 2 * seconds
    assert max(report.answers for report in found) >= seconds


def test_two_writers_of_the_same_videos_store_each_once(tmp_path: Path) -> None:
    LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    writers = [WARM.Process(target=add_all, args=(tmp_path, seed)) for seed in range(2)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
        assert process.exitcode == 0
    videos = LanceIndex.open(tmp_path).videos
    assert sorted(video.id for video in videos) == sorted(content_of(number, 0)[0].id for number in range(40))


def test_every_acknowledged_add_survives_a_kill(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    children = []
    for folder in folders:
        LanceIndex.create(folder, model=MODEL, num_frames=3)
        children.append(
            subprocess.Popen(
                [warm_python(), "-c", ADDING_ONE_BY_ONE, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
        )
    generator = random.Random()
    for folder, child in zip(folders, children, strict=True):
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        time.sleep(generator.uniform(0, 0.3))
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        acknowledged = [int(line) for line in lines]
        index = LanceIndex.open(folder)
        stored = [video.metadata["number"] for video in index.videos]
        # The one that was being added may be there or not.
        assert stored in (acknowledged, [*acknowledged, acknowledged[-1] + 1])
        assert len(index.search(make_queries(1), top_k=1000)[0]) == len(stored)
        index.add([content_of(number, 0) for number in range(len(stored) + 5)])
        assert len(LanceIndex.open(folder)) == len(stored) + 5
