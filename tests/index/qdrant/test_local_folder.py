from __future__ import annotations

import dataclasses
import gc
import os
import pickle
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.index.made_clusters import MODEL, make_queries, make_videos
from tests.warm_python import warm_python
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.qdrant.qdrant_index import QdrantIndex


def address(folder: Path) -> str:
    return f"qdrant+local://{folder}"


def in_another_process(script: str) -> str:
    """What a script prints, with the last line of its errors."""
    done = subprocess.run([warm_python(), "-c", script], capture_output=True, text=True, check=False)
    return done.stdout + (done.stderr.strip().splitlines() or [""])[-1]


def test_an_index_exists_once_it_is_made_and_looking_makes_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "qdrant"
    assert not QdrantIndex.exists(address(folder))
    assert not folder.exists()
    with pytest.raises(IndexStoreError, match="there is no index at"):
        QdrantIndex.open(address(folder))
    assert not folder.exists()
    QdrantIndex.create(address(folder), model=MODEL, num_frames=12).close()
    assert QdrantIndex.exists(address(folder))
    index = QdrantIndex.open(address(folder), model=MODEL)
    assert (len(index), index.search(make_queries(1))) == (0, [[]])
    with pytest.raises(IndexStoreError, match="there is a collection at"):
        QdrantIndex.create(address(folder), model=MODEL, num_frames=12)


def test_what_was_stored_changed_and_removed_is_so_after_reopening(tmp_path: Path) -> None:
    videos = [
        (dataclasses.replace(video, metadata={"row": row}), encoded)
        for row, (video, encoded) in enumerate(make_videos(30))
    ]
    queries = make_queries(10)
    index = QdrantIndex.create(address(tmp_path / "qdrant"), model=MODEL, num_frames=12)
    index.add(videos)
    index.move({videos[0][0].id: "/moved.mp4"})
    index.set_metadata({videos[1][0].id: {"place": "Rome", "row": None}})
    assert index.remove([videos[2][0].id]) == 1
    before = (index.videos, index.search(queries), index.search(queries, where="place = 'Rome' or row > 20"))
    index.close()
    again = QdrantIndex.open(address(tmp_path / "qdrant"), model=MODEL)
    assert (again.videos, again.search(queries), again.search(queries, where="place = 'Rome' or row > 20")) == before
    table = LanceIndex.create(tmp_path / "table", model=MODEL, num_frames=12)
    table.add([entry for row, entry in enumerate(videos) if row != 2])
    table.move({videos[0][0].id: "/moved.mp4"})
    assert again.search(queries) == table.search(queries)


def test_one_process_opens_a_folder_any_number_of_times(tmp_path: Path) -> None:
    first = QdrantIndex.create(address(tmp_path), model=MODEL, num_frames=12)
    (tmp_path / "x").mkdir()
    second = QdrantIndex.open(address(tmp_path / "x" / ".."))
    first.add(make_videos(3))
    assert len(second) == 3
    first.close()
    assert len(second) == 3
    with pytest.raises(IndexStoreError, match="is closed"):
        len(first)


def test_another_process_is_told_and_opens_it_once_it_is_closed(tmp_path: Path) -> None:
    script = f"""
from video_colbert.index.qdrant.qdrant_index import QdrantIndex
print(len(QdrantIndex.open({address(tmp_path)!r})))
"""
    index = QdrantIndex.create(address(tmp_path), model=MODEL, num_frames=12)
    index.add(make_videos(3))
    answer = in_another_process(script)
    assert f"the Qdrant folder {tmp_path} is in use by another process; wait until that has closed it" in answer
    index.close()
    assert in_another_process(script) == "3\n"


def test_the_lock_of_another_program_counts_too(tmp_path: Path) -> None:
    QdrantIndex.create(address(tmp_path), model=MODEL, num_frames=12).close()
    script = f"""
import sys
from qdrant_client import QdrantClient
client = QdrantClient(path={str(tmp_path)!r})
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [warm_python(), "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(IndexStoreError, match="is in use by another process"):
            QdrantIndex.open(address(tmp_path))
        other.communicate()
    assert len(QdrantIndex.open(address(tmp_path))) == 0


def test_an_index_that_is_forgotten_lets_the_folder_go(tmp_path: Path) -> None:
    index = QdrantIndex.create(address(tmp_path), model=MODEL, num_frames=12)
    del index
    gc.collect()
    assert (
        in_another_process(
            f"""
from video_colbert.index.qdrant.qdrant_index import QdrantIndex
print(QdrantIndex.exists({address(tmp_path)!r}))
"""
        )
        == "True\n"
    )


class RunsCode:
    """Pickled, this makes a folder wherever it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_folder_that_holds_code_is_refused_and_the_code_not_run(tmp_path: Path) -> None:
    folder, made = tmp_path / "qdrant", tmp_path / "made"
    index = QdrantIndex.create(address(folder), model=MODEL, num_frames=12)
    index.add(make_videos(2))
    index.close()
    [file] = folder.rglob("*.sqlite")
    with sqlite3.connect(file) as storage:
        storage.execute("INSERT INTO points VALUES ('x', ?)", (pickle.dumps(RunsCode(made)),))
    for call in (QdrantIndex.open, QdrantIndex.exists):
        with pytest.raises(
            IndexStoreError, match=r"storage\.sqlite holds something else than points \(posix\.mkdir\)"
        ):
            call(address(folder))
    assert not made.exists()


@pytest.mark.parametrize("damage", ["meta", "points", "cut"])
def test_a_damaged_folder_is_one_sentence(tmp_path: Path, damage: str) -> None:
    index = QdrantIndex.create(address(tmp_path), model=MODEL, num_frames=12)
    index.add(make_videos(2))
    index.close()
    [file] = tmp_path.rglob("*.sqlite")
    if damage == "meta":
        (tmp_path / "meta.json").write_text("{")
    elif damage == "points":
        with sqlite3.connect(file) as storage:
            storage.execute("UPDATE points SET point = x'80'")
    else:
        file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(IndexStoreError, match=r"damaged|something else than points"):
        QdrantIndex.open(address(tmp_path))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexStoreError, match=rf"the Qdrant folder {tmp_path}/file/x cannot be opened"):
        QdrantIndex.create(address(tmp_path / "file" / "x"), model=MODEL, num_frames=12)
