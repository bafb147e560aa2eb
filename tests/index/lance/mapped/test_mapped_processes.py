from __future__ import annotations

import json
import multiprocessing
import multiprocessing.queues
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.index.index_processes import ReaderReport, content_of, write_for
from tests.index.lance.mapped.mapped_indexes import (
    hits_from_table,
    make_all_candidates,
    make_index,
    mapped_files,
    read_mapped_for,
    set_fastest_format,
)
from tests.index.made_videos import MODEL, make_queries
from tests.warm_python import WARM, warm_python
from video_colbert.index import LanceIndex

ROOT = Path(__file__).parents[4]

# Searches with files of at most 1,000 bytes, which a full disk resembles, and then as nobody, for whom nothing can be
# written; twice each. What is needed is imported before that.
SEARCHING_WHERE_NOTHING_CAN_BE_WRITTEN = """
import json, logging, os, pytest, resource, sys
from tests.index.lance.mapped.mapped_indexes import set_fastest_format
from tests.index.made_videos import make_queries
from video_colbert.index import LanceIndex
from video_colbert.index.lance import latest_snapshot

latest_snapshot.EXACT_LIMIT = 10
set_fastest_format(pytest.MonkeyPatch(), "int8")
logging.basicConfig(format="notice %(message)s", stream=sys.stdout)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)

def search(folder):
    index = LanceIndex.open(folder)
    for _ in range(2):
        hits = index.search(make_queries(), top_k=20)
        print(json.dumps([[hit.video, hit.score] for of_query in hits for hit in of_query]), flush=True)

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
search(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
if os.getuid() == 0:
    os.setuid(65534)
search(sys.argv[2])
search(sys.argv[3])
"""

# Makes the files again and again, a video at a time.
MAKING_FILES = """
import pytest, shutil, sys, time
from tests.index.lance.mapped.mapped_indexes import set_fastest_format
from tests.index.made_videos import make_queries
from video_colbert.index import LanceIndex
from video_colbert.index.lance import latest_snapshot
from video_colbert.index.lance.mapped import token_files

latest_snapshot.EXACT_LIMIT = 10
set_fastest_format(pytest.MonkeyPatch(), "int8")
token_files._READ_AT_ONCE = 1
while True:
    shutil.rmtree(sys.argv[1] + "/_tokens", ignore_errors=True)
    LanceIndex.open(sys.argv[1]).search(make_queries(1))
    print("made", flush=True)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def search_by_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    set_fastest_format(monkeypatch, "int8")
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)


def test_where_nothing_can_be_written_the_table_is_read_and_that_is_said_once(
    open_folder: Path, search_by_candidates: None
) -> None:
    full, without, complete = (open_folder / name for name in ("full", "without", "complete"))
    for folder in (full, without, complete):
        make_index(folder)
    LanceIndex.open(complete).search(make_queries(1))
    done = subprocess.run(
        [warm_python(), "-c", SEARCHING_WHERE_NOTHING_CAN_BE_WRITTEN, full, without, complete],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    notices = [line for line in lines if line.startswith("notice")]
    expected = [[hit.video, hit.score] for hits in hits_from_table(full, make_queries()) for hit in hits]
    assert [json.loads(line) for line in lines if line not in notices] == [expected] * 6
    said = "notice Searches read the index's own table, which is slower: files in {}/_tokens cannot be written or "
    said += "mapped ({})"
    # Files that are there are used by those who may only read.
    assert notices == [said.format(full, "File too large"), said.format(without, "Permission denied")]
    assert not mapped_files(full)


@pytest.mark.slow
def test_readers_of_one_set_of_files_get_right_hits_while_it_is_changed_and_damaged(
    tmp_path: Path,
) -> None:
    seconds = 30
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([content_of(number, 0) for number in range(20)])
    make_all_candidates(index)
    reports: multiprocessing.queues.Queue[ReaderReport] = WARM.Queue()
    writer = WARM.Process(target=write_for, args=(tmp_path, seconds + 2))
    readers = [WARM.Process(target=read_mapped_for, args=(tmp_path, seconds, reports)) for _ in range(2)]
    for process in (*readers, writer):
        process.start()
    generator = random.Random(0)
    harmed: list[str] = []
    while any(process.is_alive() for process in readers) and reports.qsize() < len(readers):
        time.sleep(generator.uniform(0, 0.2))
        harmed += harm(tmp_path / "_tokens", generator)
    found = [reports.get(timeout=60) for _ in readers]
    for process in (*readers, writer):
        process.join()
        assert process.exitcode == 0
    assert [report.problem for report in found] == [None] * 2
    assert min(report.searches for report in found) >= seconds
    assert len(harmed) >= seconds
    assert {Path(name).suffix for name in harmed} >= {"", ".frame", ".video", ".int8"}


def harm(folder: Path, generator: random.Random) -> list[str]:
    """Deletes a file or all of them, or flips a bit; the name of the file that was chosen, if it was harmed."""
    files = [file for file in folder.glob("*") if file.name != "lock"] if folder.is_dir() else []
    if not files:
        return []
    file = generator.choice(files)
    try:
        match generator.randrange(4):
            case 0:
                file.unlink()
            case 1:
                shutil.rmtree(folder, ignore_errors=True)
            case _:
                with file.open("r+b") as content:
                    place = generator.randrange(os.fstat(content.fileno()).st_size)
                    content.seek(place)
                    byte = content.read(1)[0]
                    content.seek(place)
                    content.write(bytes([byte ^ 1 << generator.randrange(8)]))
    except (FileNotFoundError, ValueError, IndexError):
        # It was replaced, or is empty.
        return []
    return [file.name]


@pytest.mark.slow
def test_files_whose_writer_was_killed_are_completed(tmp_path: Path, search_by_candidates: None) -> None:
    generator = random.Random(0)
    unfinished = 0
    for number in range(8):
        folder = tmp_path / str(number)
        make_index(folder)
        expected = hits_from_table(folder, make_queries(), top_k=60)
        child = subprocess.Popen(
            [warm_python(), "-c", MAKING_FILES, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "made\n"
        time.sleep(generator.uniform(0, 0.5))
        child.send_signal(signal.SIGKILL)
        # Its end of the pipe is closed when all of it is gone.
        child.stdout.read()
        child.wait()
        child.stdout.close()
        unfinished += not (folder / "_tokens" / "rows").exists()
        assert LanceIndex.open(folder).search(make_queries(), top_k=60) == expected
        assert {name.partition(".")[2] for name in mapped_files(folder)} == {
            "frame",
            "video",
            "frame.int8",
            "video.int8",
        }
    assert unfinished
