from __future__ import annotations

import errno
import random
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.index.lance.mapped.mapped_indexes import hits_from_table, videos
from tests.index.made_videos import MODEL, make_queries
from video_colbert.index import LanceIndex
from video_colbert.index.lance.schema import calibration_metadata
from video_colbert.index.metadata_columns import POOLED
from video_colbert.index.search.calibration import Calibration


@pytest.fixture(autouse=True)
def search_by_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches by candidates from cells, all of which are read."""
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.CELLS_LIMIT", 20)
    monkeypatch.setattr("video_colbert.index.search.searcher._ALLOWED_A_CANDIDATE", 0)
    return


def make_index(folder: Path) -> LanceIndex:
    """60 videos; half of them are candidates, taken from all cells."""
    index = LanceIndex.create(folder, model=MODEL, num_frames=4)
    for first in (0, 20, 40):
        index.add(videos(first, first + 20))
    calibration = Calibration("cells", 0.99, 1.0, 10, 45, 64, real_queries=False, num_videos=60, read_share=1.0)
    index._table.set_field_metadata(POOLED, calibration_metadata(calibration))
    return index


def cell_files(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "_cells").glob("*") if file.name != "lock")


def kinds(folder: Path) -> set[str]:
    return {name.partition(".")[2].partition("-")[0] for name in cell_files(folder)}


def test_cells_are_made_once_and_give_the_hits_of_the_table(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    expected = hits_from_table(tmp_path, make_queries(), top_k=5)
    assert index.search(make_queries(), top_k=5) == expected
    made = cell_files(tmp_path)
    assert kinds(tmp_path) == {"", "fitted", "base"}
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=5) == expected
    assert cell_files(tmp_path) == made
    where = index.search(make_queries(), top_k=3, where="number < 50")
    assert where == hits_from_table(tmp_path, make_queries(), top_k=3, where="number < 50")


def test_videos_that_come_later_are_put_into_the_cells_that_are_there(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    before = {name: (tmp_path / "_cells" / name).read_bytes() for name in cell_files(tmp_path) if name != "list"}
    for first in (60, 63):
        index.add(videos(first, first + 3))
        expected = hits_from_table(tmp_path, make_queries(), top_k=5)
        assert LanceIndex.open(tmp_path).search(make_queries(), top_k=5) == expected
        assert index.search(make_queries(), top_k=5) == expected
        assert kinds(tmp_path) == {"", "fitted", "base", "added"}
        assert len(cell_files(tmp_path)) == 4
        for name, content in before.items():
            assert (tmp_path / "_cells" / name).read_bytes() == content


def test_removed_and_moved_videos_are_found_no_more_or_where_they_are(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    made = cell_files(tmp_path)
    index.remove([f"digest of {number}.mp4" for number in range(10)])
    index.move({"digest of 33.mp4": "/elsewhere/33.mp4"})
    index._table.compact()
    assert index.search(make_queries(), top_k=5) == hits_from_table(tmp_path, make_queries(), top_k=5)
    assert cell_files(tmp_path) == made


def test_a_calibration_finds_cells_anew(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    before = cell_files(tmp_path)
    index.add(videos(60, 95))
    assert index.needs_calibration
    assert index.calibrate().method == "cells"
    assert not index.needs_calibration
    assert kinds(tmp_path) == {"", "fitted", "base"}
    assert set(before) & set(cell_files(tmp_path)) == {"list"}


def test_nothing_of_a_forgotten_video_stays(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    index.forget(["digest of 7.mp4"])
    assert not cell_files(tmp_path)
    assert index.search(make_queries(), top_k=5) == hits_from_table(tmp_path, make_queries(), top_k=5)


@pytest.mark.parametrize("what", ["folder", "list", "base", "fitted"])
@pytest.mark.parametrize("is_mapped", [False, True])
def test_deleted_files_are_made_again(tmp_path: Path, what: str, is_mapped: bool) -> None:
    index = make_index(tmp_path)
    expected = index.search(make_queries(), top_k=5)
    if what == "folder":
        shutil.rmtree(tmp_path / "_cells")
    else:
        next((tmp_path / "_cells").glob(f"*{what}")).unlink()
    reader = index if is_mapped else LanceIndex.open(tmp_path)
    assert reader.search(make_queries(), top_k=5) == expected
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=5) == expected
    assert kinds(tmp_path) == {"", "fitted", "base"}


@pytest.mark.parametrize("what", ["base", "fitted"])
def test_cells_of_which_a_file_is_gone_are_made_again_when_videos_come(tmp_path: Path, what: str) -> None:
    make_index(tmp_path).search(make_queries(1))
    next((tmp_path / "_cells").glob(f"*{what}")).unlink()
    index = LanceIndex.open(tmp_path)
    index.add(videos(60, 63))
    assert index.search(make_queries(), top_k=5) == hits_from_table(tmp_path, make_queries(), top_k=5)
    assert kinds(tmp_path) == {"", "fitted", "base"}


@pytest.mark.parametrize("what", ["list", "base", "fitted", "added-*"])
@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_damage_is_noticed_and_put_right(
    tmp_path: Path, what: str, is_mapped: bool, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    index.add(videos(60, 66))
    expected = hits_from_table(tmp_path, make_queries(), top_k=5)
    assert index.search(make_queries(), top_k=5) == expected
    file = next((tmp_path / "_cells").glob(f"*{what}"))
    # In place, as the mapped pages see it.
    with file.open("r+b") as content:
        if damage == "truncate":
            content.truncate(file.stat().st_size - 3)
        else:
            place = random.Random(0).randrange(file.stat().st_size)
            content.seek(place)
            byte = content.read(1)[0]
            content.seek(place)
            content.write(bytes([byte ^ 16]))
    reader = index if is_mapped else LanceIndex.open(tmp_path)
    assert reader.search(make_queries(), top_k=5) == expected
    is_read = what in ("base", "added-*") or (what == "fitted" and not is_mapped)
    assert ("are not what was written" in caplog.text) == is_read
    caplog.clear()
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=5) == expected


def test_what_a_killed_writer_left_counts_for_nothing(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    made = set(cell_files(tmp_path))
    for name in ("0123456789ab.base", "0123456789ab.fitted", "list.12.unfinished", "tmpabcdef"):
        (tmp_path / "_cells" / name).write_bytes(b"left")
    index.add(videos(60, 63))
    assert index.search(make_queries(), top_k=5) == hits_from_table(tmp_path, make_queries(), top_k=5)
    assert made < set(cell_files(tmp_path))
    assert len(cell_files(tmp_path)) == 4


def test_where_nothing_can_be_written_that_is_said_once_and_hits_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = make_index(tmp_path)

    def no_space(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("video_colbert.index.lance.mapped.cell_list.CellList.write", no_space)
        for _ in range(2):
            assert index.search(make_queries(), top_k=5) == hits_from_table(tmp_path, make_queries(), top_k=5)
    assert not cell_files(tmp_path)
    assert caplog.text.count("No space left on device") == 1
    # Later videos are held in memory where the files of earlier ones cannot be added to.
    other = LanceIndex.open(tmp_path)
    other.search(make_queries(1))
    other.add(videos(60, 64))
    made = cell_files(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("video_colbert.index.lance.mapped.cell_list.CellList.write", no_space)
        assert other.search(make_queries(), top_k=5) == hits_from_table(tmp_path, make_queries(), top_k=5)
    assert cell_files(tmp_path) == made


def test_a_search_waits_for_no_other_writer(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    expected = hits_from_table(tmp_path, make_queries(), top_k=5)
    (tmp_path / "_cells").mkdir()
    with FileLock(tmp_path / "_cells" / "lock"):
        assert index.search(make_queries(), top_k=5) == expected
    assert not cell_files(tmp_path)
    assert index.search(make_queries(), top_k=5) == expected
    assert cell_files(tmp_path)
