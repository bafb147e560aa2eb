from __future__ import annotations

import json
import random
from pathlib import Path

import lancedb
import pyarrow as pa
import pytest

from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.cli import main
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.lance.repair import repair_index, verify_index

VERSIONS = "videos.lance/_versions"


def make_index(folder: Path) -> LanceIndex:
    """Two commits of two videos each."""
    index = LanceIndex.create(folder, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    index.add([make_video("c.mp4"), make_video("d.mp4")])
    return index


def manifests(folder: Path) -> list[Path]:
    """The newest first, whose names count down."""
    return sorted((folder / VERSIONS).glob("*.manifest"))


def newest_data_file(folder: Path) -> Path:
    return max(folder.glob("*.lance/data/*.lance"), key=lambda path: path.stat().st_mtime_ns)


def names(folder: Path) -> list[str]:
    return [Path(video.path).name for video in LanceIndex.open(folder).videos]


def flip(file: Path, generator: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    file.write_bytes(content)


def test_any_flipped_bit_of_the_latest_version_is_noticed(tmp_path: Path) -> None:
    make_index(tmp_path)
    generator = random.Random(0)
    files = [manifests(tmp_path)[0], *tmp_path.glob("*.lance/data/*.lance")]
    for number in range(60):
        file = files[number % len(files)]
        whole = file.read_bytes()
        flip(file, generator)
        with pytest.raises(IndexStoreError, match=f"is damaged: .*{file.name} is not what was written"):
            LanceIndex.open(tmp_path).search(make_queries())
        file.write_bytes(whole)
    assert len(LanceIndex.open(tmp_path).search(make_queries())[0]) == 4


def test_damage_is_noticed_before_a_writer_adds_to_it(tmp_path: Path) -> None:
    make_index(tmp_path)
    index = LanceIndex.open(tmp_path)
    flip(newest_data_file(tmp_path), random.Random(3))
    with pytest.raises(IndexStoreError, match="is not what was written"):
        index.remove(["digest of a.mp4"])


def test_deleted_latest_commit_is_noticed_and_the_one_before_is_taken(tmp_path: Path) -> None:
    make_index(tmp_path)
    manifests(tmp_path)[0].unlink()
    with pytest.raises(
        IndexStoreError, match=r"its last commit, version 4 with 4 videos, is gone.*`video-colbert repair`"
    ):
        len(LanceIndex.open(tmp_path))
    repaired = repair_index(tmp_path)
    assert (repaired.videos, repaired.set_aside) == (2, ())
    assert names(tmp_path) == ["a.mp4", "b.mp4"]
    LanceIndex.open(tmp_path).add([make_video("c.mp4"), make_video("d.mp4")])
    assert names(tmp_path) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


@pytest.mark.parametrize("what", ["data", "manifest"])
def test_repair_goes_back_to_the_last_version_that_is_whole(what: str, tmp_path: Path) -> None:
    make_index(tmp_path)
    file = newest_data_file(tmp_path) if what == "data" else manifests(tmp_path)[0]
    flip(file, random.Random(1))
    with pytest.raises(IndexStoreError, match="is damaged"):
        verify_index(tmp_path)
    repaired = repair_index(tmp_path)
    assert repaired.videos == 2
    assert len(repaired.set_aside) == 1
    assert sorted(path.name for path in (tmp_path / "set_aside").iterdir()) == sorted(repaired.set_aside)
    assert names(tmp_path) == ["a.mp4", "b.mp4"]
    index = LanceIndex.open(tmp_path)
    index.add([make_video("c.mp4")])
    assert len(index.search(make_queries())[0]) == 3
    found = verify_index(tmp_path)
    assert (found.videos, found.has_digests) == (3, True)


def test_repair_of_a_whole_index_moves_nothing(tmp_path: Path) -> None:
    make_index(tmp_path)
    assert repair_index(tmp_path).set_aside == ()
    assert names(tmp_path) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


@pytest.mark.parametrize("name", ["_rowid", "_rowaddr", "_rowoffset", "_row_created_at_version", "__action"])
def test_index_that_a_column_of_lances_own_name_made_unreadable_is_repaired(name: str, tmp_path: Path) -> None:
    make_index(tmp_path)
    # As an earlier release did.
    lancedb.connect(tmp_path).open_table("videos").add_columns([pa.field(name, pa.int64())])
    if name != "__action":
        with pytest.raises(IndexStoreError, match="cannot be read"):
            len(LanceIndex.open(tmp_path))
        assert repair_index(tmp_path).videos == 4
        assert names(tmp_path) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
        LanceIndex.open(tmp_path).add([make_video("e.mp4")])
        assert len(LanceIndex.open(tmp_path).search(make_queries())[0]) == 5


def test_index_without_any_whole_version_is_left_as_it_is(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4")])
    flip(newest_data_file(tmp_path), random.Random(2))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(IndexStoreError, match=r"no version of the index in .* that holds videos can be read"):
        repair_index(tmp_path)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: content for path, content in before.items() if path.name != "latest_version_hint.json"} == {
        path: content for path, content in after.items() if path.name != "latest_version_hint.json"
    }


def test_damaged_or_deleted_record_is_told_or_harmless(tmp_path: Path) -> None:
    make_index(tmp_path)
    record = tmp_path / "commits.json"
    stored = json.loads(record.read_text())
    stored["commit"]["rows"] = 17
    record.write_text(json.dumps(stored))
    with pytest.raises(IndexStoreError, match=r"commits\.json is not what was written"):
        LanceIndex.open(tmp_path)
    assert repair_index(tmp_path).videos == 4
    record.unlink()
    index = LanceIndex.open(tmp_path)
    assert len(index) == 4
    assert not verify_index(tmp_path).has_digests
    index.add([make_video("e.mp4")])
    assert verify_index(tmp_path).has_digests


def test_commands_say_what_they_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_index(tmp_path)
    assert main(["verify-index", "--index", str(tmp_path)]) == 0
    assert "4 videos in version 4, all read; its files are what was written." in capsys.readouterr().out
    flip(newest_data_file(tmp_path), random.Random(4))
    assert main(["verify-index", "--index", str(tmp_path)]) == 1
    assert "is not what was written; `video-colbert repair` goes back" in capsys.readouterr().err
    assert main(["repair", "--index", str(tmp_path)]) == 0
    assert (
        "2 videos in version 3. Moved to set_aside, since they did not read: 18446744073709551611.manifest."
        in capsys.readouterr().out
    )
    assert main(["repair", "--index", str(tmp_path / "none")]) == 1
    assert "there is no index in" in capsys.readouterr().err
