from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.index.made_videos import MODEL, make_queries, make_video
from tests.warm_python import warm_python
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex

ROOT = Path(__file__).parents[3]

# Adds under a limit of the size of files, which a full disk resembles; prints what was stored and what was said.
ADDING_UNDER_A_LIMIT = """
import resource, sys
from tests.index.made_videos import make_video
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex

index = LanceIndex.open(sys.argv[1])
for limit in (0, 100, 1000, 2000, 3000, 4000, 6000, 10_000, 100_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        index.add([make_video(f"{limit}.mp4", frames=100)])
        print("stored", f"{limit}.mp4", flush=True)
    except IndexStoreError as error:
        print("refused", error, flush=True)
"""

# Runs as nobody where the tests run as root, whom permissions do not stop. What is needed is imported before that.
SEARCHING_AND_ADDING_WITHOUT_PERMISSION = """
import os, sys
from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex

LanceIndex.open(sys.argv[1]).search(make_queries(1))
if os.getuid() == 0:
    os.setuid(65534)
index = LanceIndex.open(sys.argv[1])
print(len(index.search(make_queries(1))[0]), flush=True)
for change in (
    lambda: index.add([make_video("c.mp4")]),
    lambda: index.remove(["digest of a.mp4"]),
    lambda: index.move({"digest of a.mp4": "/x"}),
    lambda: LanceIndex.create(sys.argv[1] + "/new", model=MODEL, num_frames=3),
):
    try:
        change()
        print("changed", flush=True)
    except IndexStoreError as error:
        print("refused", error, flush=True)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def output_of(code: str, *arguments: Path) -> list[str]:
    done = subprocess.run(
        [warm_python(), "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_truncated_files_are_named_and_whole_again_lose_nothing(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video(f"{number}.mp4", metadata={"number": number}) for number in range(20)])
    before = index.search(make_queries(), top_k=20)
    files = [max(tmp_path.rglob("data/*.lance")), min(tmp_path.rglob("_versions/*.manifest"))]
    for path in files:
        content = path.read_bytes()
        for kept in (0, 10, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:kept])
            with pytest.raises(IndexStoreError, match=f"is damaged: .*{path.name} is truncated"):
                LanceIndex.open(tmp_path).search(make_queries())
            with pytest.raises(IndexStoreError, match=f"is damaged: .*{path.name} is truncated"):
                LanceIndex.open(tmp_path).add([make_video("new.mp4")])
        path.write_bytes(content)
        assert LanceIndex.open(tmp_path).search(make_queries(), top_k=20) == before


def test_full_disk_is_a_clear_error_and_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("first.mp4")])
    before = index.search(make_queries(1))
    lines = output_of(ADDING_UNDER_A_LIMIT, tmp_path)
    stored = [line.removeprefix("stored ") for line in lines if line.startswith("stored")]
    refused = [line for line in lines if line.startswith("refused")]
    assert len(stored) + len(refused) == 9
    assert stored
    assert len(refused) >= 3
    for line in refused:
        assert f"{tmp_path} cannot be written; what was stored before is kept (" in line
        assert "File too large" in line
    assert [Path(video.path).name for video in LanceIndex.open(tmp_path).videos] == ["first.mp4", *stored]
    scores = {hit.video: hit.score for hit in LanceIndex.open(tmp_path).search(make_queries(1), top_k=20)[0]}
    assert scores[before[0][0].video] == before[0][0].score
    index.add([make_video("last.mp4")])
    assert len(LanceIndex.open(tmp_path)) == len(stored) + 2


def test_index_that_cannot_be_written_is_searched_and_refuses_changes(open_folder: Path) -> None:
    index = LanceIndex.create(open_folder, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    for path in (open_folder, *open_folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    hits, *changes = output_of(SEARCHING_AND_ADDING_WITHOUT_PERMISSION, open_folder)
    assert hits == "2"
    assert len(changes) == 4
    for line in changes[:3]:
        assert line.startswith(f"refused {open_folder} cannot be written; what was stored before is kept")
        assert "Permission denied" in line
    assert changes[3] == f"refused {open_folder}/new cannot be made a folder (Permission denied)"
    assert [Path(video.path).name for video in LanceIndex.open(open_folder).videos] == ["a.mp4", "b.mp4"]
