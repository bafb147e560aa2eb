from __future__ import annotations

import random
import signal
import subprocess
import time
from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from tests.index.index_processes import ReaderReport, content_of, read_for, write_for
from tests.index.lance.mapped.mapped_indexes import hits_from_table
from tests.index.lance.mapped.test_cell_files import cell_files, make_index
from tests.index.lance.mapped.test_mapped_processes import harm
from tests.index.made_videos import MODEL, make_queries
from tests.warm_python import WARM, warm_python
from video_colbert.index import LanceIndex
from video_colbert.index.lance import latest_snapshot
from video_colbert.index.lance.schema import calibration_metadata
from video_colbert.index.metadata_columns import POOLED
from video_colbert.index.search import searcher
from video_colbert.index.search.calibration import Calibration

ROOT = Path(__file__).parents[4]

# Makes the cells again and again.
MAKING_CELLS = """
import shutil, sys
from tests.index.made_videos import make_queries
from video_colbert.index import LanceIndex
from video_colbert.index.lance import latest_snapshot
from video_colbert.index.lance.mapped import cell_files
from video_colbert.index.search import searcher

latest_snapshot.EXACT_LIMIT, latest_snapshot.CELLS_LIMIT, searcher._ALLOWED_A_CANDIDATE = 10, 20, 0
cell_files._READ_AT_ONCE = cell_files._WRITTEN_AT_ONCE = 1
while True:
    shutil.rmtree(sys.argv[1] + "/_cells", ignore_errors=True)
    LanceIndex.open(sys.argv[1]).search(make_queries(1))
    print("made", flush=True)
"""


def read_by_cells_for(folder: Path, seconds: float, reports: Queue[ReaderReport]) -> None:
    """As `read_for`, by candidates from all cells."""
    latest_snapshot.EXACT_LIMIT, latest_snapshot.CELLS_LIMIT, searcher._ALLOWED_A_CANDIDATE = 3, 3, 0
    read_for(folder, seconds, reports)


@pytest.fixture
def search_by_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest_snapshot, "EXACT_LIMIT", 10)
    monkeypatch.setattr(latest_snapshot, "CELLS_LIMIT", 20)
    monkeypatch.setattr(searcher, "_ALLOWED_A_CANDIDATE", 0)


@pytest.mark.slow
def test_readers_get_right_hits_while_cells_are_changed_deleted_and_damaged(tmp_path: Path) -> None:
    seconds = 30
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([content_of(number, 0) for number in range(20)])
    # 22 candidates for 20 hits: fewer than there are videos most of the time, so that cells are asked.
    calibration = Calibration("cells", 0.99, 1.0, 10, 11, 64, real_queries=False, num_videos=10**6, read_share=1.0)
    index._table.set_field_metadata(POOLED, calibration_metadata(calibration))
    reports: Queue[ReaderReport] = WARM.Queue()
    writer = WARM.Process(target=write_for, args=(tmp_path, seconds + 2))
    readers = [WARM.Process(target=read_by_cells_for, args=(tmp_path, seconds, reports)) for _ in range(2)]
    for process in (*readers, writer):
        process.start()
    generator = random.Random(0)
    harmed: list[str] = []
    while any(process.is_alive() for process in readers) and reports.qsize() < len(readers):
        time.sleep(generator.uniform(0, 0.2))
        harmed += harm(tmp_path / "_cells", generator)
    found = [reports.get(timeout=60) for _ in readers]
    for process in (*readers, writer):
        process.join()
        assert process.exitcode == 0
    assert [report.problem for report in found] == [None] * 2
    assert min(report.searches for report in found) >= 5
    assert harmed


@pytest.mark.slow
def test_cells_whose_writer_was_killed_are_made_again(tmp_path: Path, search_by_cells: None) -> None:
    make_index(tmp_path)
    expected = hits_from_table(tmp_path, make_queries(), top_k=5)
    generator = random.Random(0)
    for _ in range(10):
        process = subprocess.Popen([warm_python(), "-c", MAKING_CELLS, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(generator.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        # Its end of the pipe is closed when all of it is gone.
        process.stdout.read()
        process.wait()
        process.stdout.close()
        assert LanceIndex.open(tmp_path).search(make_queries(), top_k=5) == expected
        names = cell_files(tmp_path)
        assert len([name for name in names if name.endswith("base")]) == 1
        assert not any(name.endswith("unfinished") for name in names)
