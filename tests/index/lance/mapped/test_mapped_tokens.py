from __future__ import annotations

import errno
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xxhash
from filelock import FileLock

from tests.index.lance.mapped.mapped_indexes import (
    hits_from_table,
    make_all_candidates,
    make_index,
    mapped_files,
    set_fastest_format,
    videos,
)
from tests.index.lance.test_levels import make_three_level_queries, make_three_level_video
from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.lance.mapped.mapped_rows import MappedRows
from video_colbert.index.lance.mapped.mapped_tokens import MappedTokens
from video_colbert.index.lance.mapped.token_files import TokenFiles
from video_colbert.index.lance.repair import repair_index, verify_index
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.table_version import TableVersion


@pytest.fixture(autouse=True)
def search_by_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are mapped where a search reads those of candidates only."""
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)


@pytest.fixture(autouse=True)
def int8_is_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are copied as int8 where the processor compares those fastest."""
    set_fastest_format(monkeypatch, "int8")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were taken from the table, each time."""
    counts: list[int] = []

    def counted(take: Callable[..., Any]) -> Callable[..., Any]:
        def taking(table: TableVersion, row_ids: Any, columns: list[str]) -> Any:
            counts.append(len(row_ids))
            return take(table, row_ids, columns)

        return taking

    monkeypatch.setattr(TableVersion, "take", counted(TableVersion.take))
    return counts


def test_candidates_are_scored_from_int8_copies_and_few_of_them_from_their_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=4)
    index.add(videos(0, 400))
    make_all_candidates(index)
    expected = hits_from_table(tmp_path, make_queries(1), top_k=3)
    read: dict[str, list[int]] = {"bags": [], "quantized_bags": []}

    def counted(name: str) -> Callable[..., Any]:
        get: Callable[..., Any] = getattr(MappedTokens, name)

        def counting(mapped: MappedTokens, places: npt.NDArray[np.int64], *levels: Any) -> Any:
            read[name].append(len(places))
            return get(mapped, places, *levels)

        return counting

    for name in read:
        monkeypatch.setattr(MappedTokens, name, counted(name))
    assert LanceIndex.open(tmp_path).search(make_queries(1), top_k=3) == expected
    assert read["quantized_bags"] == [400]
    assert sum(read["bags"]) < 200
    # Several queries over the same candidates read them once.
    expected = hits_from_table(tmp_path, make_queries(5), top_k=3)
    assert LanceIndex.open(tmp_path).search(make_queries(5), top_k=3) == expected
    assert read["quantized_bags"] == [400, 400]


@pytest.mark.parametrize(("codec", "fastest"), [("int8", "int8"), ("compact", "int8"), ("float16", "float32")])
def test_there_are_no_copies_of_packed_tokens_nor_where_int8_is_not_fastest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, fastest: str
) -> None:
    set_fastest_format(monkeypatch, fastest)
    index = make_index(tmp_path, codec=codec)
    assert index.search(make_queries(), top_k=20) == hits_from_table(tmp_path, make_queries())
    assert [Path(name).suffix for name in mapped_files(tmp_path)] == [".frame", ".video"]


@pytest.mark.parametrize("first", ["int8", "float32"])
def test_files_that_machines_with_different_processors_share_are_added_to_by_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    index = make_index(tmp_path)
    for number, fastest in enumerate([first, "float32", "int8"]):
        set_fastest_format(monkeypatch, fastest)
        index.add(videos(60 + number, 61 + number))
        expected = hits_from_table(tmp_path, make_queries(), top_k=63)
        assert LanceIndex.open(tmp_path).search(make_queries(), top_k=63) == expected
    assert len(mapped_files(tmp_path)) == (4 if first == "int8" else 2)


@pytest.mark.parametrize("codec", ["float16", "int8", "compact"])
def test_hits_are_those_of_the_table_and_the_table_is_read_once(tmp_path: Path, taken: list[int], codec: str) -> None:
    index = make_index(tmp_path, codec=codec)
    queries = make_queries()
    expected = hits_from_table(tmp_path, queries)
    taken.clear()
    assert LanceIndex.open(tmp_path).search(queries, top_k=20) == expected
    assert taken == [60]
    for reader in (index, LanceIndex.open(tmp_path)):
        assert reader.search(queries, top_k=20) == expected
        where = reader.search(queries, top_k=5, where="number < 7")
        assert where == hits_from_table(tmp_path, queries, top_k=5, where="number < 7")
    assert taken.count(60) == 1
    assert max(taken[1:], default=0) <= 60


def test_a_commit_is_added_to_what_is_there(tmp_path: Path, taken: list[int]) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    before = mapped_files(tmp_path)
    content = {name: (tmp_path / "_tokens" / name).read_bytes() for name in before}
    index.add(videos(60, 70))
    expected = hits_from_table(tmp_path, make_queries(), top_k=70)
    taken.clear()
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=70) == expected
    assert taken == [10]
    assert mapped_files(tmp_path) == before
    for name, earlier in content.items():
        assert (tmp_path / "_tokens" / name).read_bytes().startswith(earlier)
    assert index.search(make_queries(), top_k=70) == expected
    assert taken == [10]


def test_moved_and_merged_rows_are_read_no_more(tmp_path: Path, taken: list[int]) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    index.move({"digest of 3.mp4": "/elsewhere/3.mp4"})
    index._table.compact()
    expected = hits_from_table(tmp_path, make_queries())
    taken.clear()
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=20) == expected
    assert any(hit.video == "/elsewhere/3.mp4" for hits in index.search(make_queries(), top_k=60) for hit in hits)
    assert not taken


def test_removed_videos_leave_the_files_when_they_are_many(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    before = mapped_files(tmp_path)
    token = make_video("7.mp4", frames=4)[1].embeds["frame"][0].half().numpy().tobytes()
    assert any(token in (tmp_path / "_tokens" / name).read_bytes() for name in before)
    index.remove(["digest of 7.mp4"])
    assert index.search(make_queries(), top_k=20) == hits_from_table(tmp_path, make_queries())
    assert mapped_files(tmp_path) == before
    index.remove([f"digest of {number}.mp4" for number in range(20)])
    assert index.search(make_queries(), top_k=20) == hits_from_table(tmp_path, make_queries())
    after = mapped_files(tmp_path)
    assert len(after) == len(before)
    assert not set(after) & set(before)
    assert not any(token in (tmp_path / "_tokens" / name).read_bytes() for name in after)
    # Below the limit all tokens are held in memory, and nobody would keep the files up to date.
    index.remove([f"digest of {number}.mp4" for number in range(20, 55)])
    assert len(index.search(make_queries(1), top_k=20)[0]) == 5
    assert not mapped_files(tmp_path)


def test_nothing_of_a_forgotten_video_stays(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    token = make_video("7.mp4", frames=4)[1].embeds["frame"][0].half().numpy().tobytes()
    assert any(token in (tmp_path / "_tokens" / name).read_bytes() for name in mapped_files(tmp_path))
    index.forget(["digest of 7.mp4"])
    assert not mapped_files(tmp_path)
    assert index.search(make_queries(), top_k=60) == hits_from_table(tmp_path, make_queries(), top_k=60)
    assert not any(token in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_nothing_of_a_forgotten_video_stays_where_a_search_makes_the_files_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(tmp_path)
    erase = LanceTable.erase

    def searching_before(table: LanceTable, ids: Sequence[str]) -> None:
        LanceIndex.open(tmp_path).search(make_queries(1))
        assert mapped_files(tmp_path)
        erase(table, ids)

    monkeypatch.setattr(LanceTable, "erase", searching_before)
    index.forget(["digest of 7.mp4"])
    token = make_video("7.mp4", frames=4)[1].embeds["frame"][0].half().numpy().tobytes()
    assert not any(token in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_video_that_was_removed_and_added_with_other_tokens_has_the_new_ones(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    old = index.search(make_queries(1), top_k=60)[0]
    index.remove(["digest of 7.mp4"])
    index.add([make_video("7.mp4", seed=999, metadata={"number": 7})])
    found = LanceIndex.open(tmp_path).search(make_queries(1), top_k=60)[0]
    assert [found] == hits_from_table(tmp_path, make_queries(1), top_k=60)
    scores = [{hit.video: hit.score for hit in hits}["/videos/7.mp4"] for hits in (old, found)]
    assert abs(scores[0] - scores[1]) > 1e-3


@pytest.mark.parametrize("what", ["folder", "rows", "frame", "video", "frame.int8"])
@pytest.mark.parametrize("is_mapped", [False, True])
def test_deleted_files_are_made_again(tmp_path: Path, what: str, is_mapped: bool) -> None:
    index = make_index(tmp_path)
    expected = index.search(make_queries(), top_k=20)
    folder = tmp_path / "_tokens"
    if what == "folder":
        shutil.rmtree(folder)
    else:
        next(folder.glob(f"*{what}")).unlink()
    reader = index if is_mapped else LanceIndex.open(tmp_path)
    assert reader.search(make_queries(), top_k=20) == expected
    # What is mapped is there without its name.
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=20) == expected
    found = {name.partition(".")[2] for name in mapped_files(tmp_path)}
    assert found == {"frame", "video", "frame.int8", "video.int8"}
    assert (folder / "rows").is_file()


@pytest.mark.parametrize("what", ["rows", "frame", "video", "video.int8"])
@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_damage_is_noticed_and_put_right(
    tmp_path: Path, what: str, is_mapped: bool, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    index = make_index(tmp_path)
    queries = make_queries()
    expected = hits_from_table(tmp_path, queries, top_k=60)
    assert index.search(queries, top_k=60) == expected
    file = next((tmp_path / "_tokens").glob(f"*{what}"))
    whole = file.stat().st_size
    generator = random.Random(0)
    for _ in range(1 if damage == "truncate" else 5):
        file = next((tmp_path / "_tokens").glob(f"*{what}"))
        # In place, as the mapped pages see it.
        with file.open("r+b") as content:
            if damage == "truncate":
                content.truncate(whole - 3)
            else:
                place = generator.randrange(whole)
                content.seek(place)
                byte = content.read(1)[0]
                content.seek(place)
                content.write(bytes([byte ^ 1 << generator.randrange(8)]))
        reader = index if is_mapped else LanceIndex.open(tmp_path)
        assert reader.search(queries, top_k=60) == expected
    assert ("are not what was written" in caplog.text) == (what != "rows")
    caplog.clear()
    assert LanceIndex.open(tmp_path).search(queries, top_k=60) == expected
    if what != "rows" or not is_mapped:
        assert next((tmp_path / "_tokens").glob(f"*{what}")).stat().st_size == whole
    assert not caplog.text


def test_what_a_killed_writer_left_counts_for_nothing(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    folder = tmp_path / "_tokens"
    before = mapped_files(tmp_path)
    sizes = {name: (folder / name).stat().st_size for name in before}
    for name in before:
        with (folder / name).open("ab") as file:
            file.write(b"left" * 100)
    for name in ("0123456789ab.frame", "rows.1234.unfinished"):
        (folder / name).write_bytes(b"left")
    index.add(videos(60, 61))
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=61) == hits_from_table(
        tmp_path, make_queries(), top_k=61
    )
    assert mapped_files(tmp_path) == before
    # One frame token and three video tokens of 8 numbers, as float16 and as int8.
    grown = {name: (folder / name).stat().st_size - size for name, size in sizes.items()}
    assert sorted(grown.values()) == [8, 16, 24, 48]


def test_an_interruption_takes_nothing_away_that_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    index.add(videos(60, 63))
    write = MappedRows.write

    def interrupted(rows: MappedRows, file: Path) -> None:
        write(rows, file)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MappedRows, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            LanceIndex.open(tmp_path).search(make_queries(1))
    written = {name: (tmp_path / "_tokens" / name).read_bytes() for name in mapped_files(tmp_path)}
    expected = hits_from_table(tmp_path, make_queries(), top_k=63)
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=63) == expected
    assert {name: (tmp_path / "_tokens" / name).read_bytes() for name in mapped_files(tmp_path)} == written


@pytest.mark.parametrize("what", ["all", "frame", "video.int8"])
def test_files_that_are_deleted_as_soon_as_they_are_made_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[int], what: str
) -> None:
    index = make_index(tmp_path)
    expected = hits_from_table(tmp_path, make_queries())
    extend = TokenFiles.extend
    made: list[MappedRows] = []

    def extending(files: TokenFiles, *arguments: Any) -> MappedRows:
        made.append(extend(files, *arguments))
        if len(made) == 1:
            for file in files.folder.glob("*.*" if what == "all" else f"*.{what}"):
                file.unlink()
        return made[-1]

    monkeypatch.setattr(TokenFiles, "extend", extending)
    assert index.search(make_queries(), top_k=20) == expected
    taken.clear()
    assert index.search(make_queries(), top_k=20) == expected
    assert not taken
    assert len(made) == 2


def test_a_list_of_another_format_is_not_read_and_the_files_are_made_anew(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    expected = index.search(make_queries(), top_k=20)
    before = mapped_files(tmp_path)
    file = tmp_path / "_tokens" / "rows"
    head, _, body = file.read_bytes()[:-16].partition(b"\n")
    content = json.dumps({**json.loads(head), "format": 1}).encode() + b"\n" + body
    file.write_bytes(content + xxhash.xxh3_128_digest(content))
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=20) == expected
    assert len(mapped_files(tmp_path)) == len(before)
    assert not set(mapped_files(tmp_path)) & set(before)


def test_levels_of_other_widths_without_tokens_of_some_videos_are_searched_by_copies(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=4)
    stored = [make_three_level_video(f"{row}.mp4", row) for row in range(40)]
    # All of these say nothing, and one of them is black and still.
    for row in range(0, 40, 3):
        video, encoded = stored[row]
        zeros = {level: 0.0 * tokens for level, tokens in encoded.embeds.items()} if row == 9 else {}
        stored[row] = (replace(video, metadata={"says": 0}), replace(encoded, embeds={**encoded.embeds, **zeros}))
    index.add(stored)
    make_all_candidates(index)
    for weights in ({}, {"frame": 0.0, "video": 0.0}):
        queries = make_three_level_queries(weights)
        for where in (None, "says = 0"):
            found = LanceIndex.open(tmp_path).search(queries, top_k=40, where=where)
            assert found == hits_from_table(tmp_path, queries, top_k=40, where=where)
            assert [len(hits) for hits in found] == [
                0 if where and weights else 26 if weights else 14 if where else 40
            ] * 3
    assert [Path(name).suffix for name in mapped_files(tmp_path)].count(".int8") == 3


def test_files_that_a_killed_writer_left_take_no_place_even_if_the_next_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(tmp_path)
    (tmp_path / "_tokens").mkdir()
    for level in ("frame", "video"):
        (tmp_path / "_tokens" / f"0123456789ab.{level}").write_bytes(b"half")

    def no_space(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("video_colbert.index.lance.mapped.mapped_rows.MappedRows.write", no_space)
        found = LanceIndex.open(tmp_path).search(make_queries(), top_k=20)
    assert found == hits_from_table(tmp_path, make_queries())
    assert not mapped_files(tmp_path)


def test_a_search_waits_for_no_other_writer_and_looks_again_the_next_time(
    tmp_path: Path, taken: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    make_index(tmp_path)
    expected = hits_from_table(tmp_path, make_queries())
    reader = LanceIndex.open(tmp_path)
    (tmp_path / "_tokens").mkdir()
    with FileLock(tmp_path / "_tokens" / "lock"):
        started = time.monotonic()
        assert reader.search(make_queries(), top_k=20) == expected
        assert time.monotonic() - started < 10
    assert not mapped_files(tmp_path)
    assert not caplog.records
    LanceIndex.open(tmp_path).search(make_queries(1))
    taken.clear()
    assert reader.search(make_queries(), top_k=20) == expected
    assert not taken


def test_a_video_is_still_there_to_be_forgotten_where_its_mapped_tokens_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index(tmp_path)
    index.search(make_queries(1))
    monkeypatch.setattr("video_colbert.index.lance.mapped.token_files._SECONDS_OF_WAITING", 0.1)
    with FileLock(tmp_path / "_tokens" / "lock"), pytest.raises(IndexStoreError, match="_tokens cannot be deleted"):
        index.forget(["digest of 7.mp4"])
    assert len(index) == 60
    index.forget(["digest of 7.mp4"])
    assert len(index) == 59
    assert not mapped_files(tmp_path)


def test_verification_and_repair_go_by_the_table(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    expected = index.search(make_queries(), top_k=60)
    index.add(videos(60, 70))
    index.search(make_queries())
    next((tmp_path / "_tokens").glob("*.frame")).write_bytes(b"")
    assert verify_index(tmp_path).videos == 70
    sorted((tmp_path / "videos.lance" / "_versions").glob("*.manifest"))[0].unlink()
    assert repair_index(tmp_path).videos == 60
    assert LanceIndex.open(tmp_path).search(make_queries(), top_k=60) == expected
    # Other videos under the numbers of the version that is gone.
    other = LanceIndex.open(tmp_path)
    other.add([make_video(f"{number}.mp4", seed=5000 + number) for number in range(60, 70)])
    assert other.search(make_queries(), top_k=60) == hits_from_table(tmp_path, make_queries(), top_k=60)


def test_a_small_index_and_one_in_memory_have_no_such_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    small = LanceIndex.create(tmp_path / "small", model=MODEL, num_frames=3)
    small.add(videos(0, 10))
    in_memory = LanceIndex.create("memory://", model=MODEL, num_frames=3)
    in_memory.add(videos(0, 60))
    for index in (small, in_memory):
        assert len(index.search(make_queries(1), top_k=10)[0]) == 10
    assert not (tmp_path / "small" / "_tokens").exists()
    assert not (tmp_path / "cache").exists()
    assert not os.path.lexists("memory:")
