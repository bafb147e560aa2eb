"""Readings beside the videos of an index: kept once, found by other processes, gone with their contents."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.index.made_videos import MODEL, make_video
from tests.warm_python import warm_python
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.lance.repair import repair_index, verify_index
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import Passage, Source, TimedWord

WORDS = (TimedWord("Léaves", 0.25, 0.5), TimedWord("eat'light", 0.5, 1.125))


def made(digest: str, *, source: Source = "speech", settings: str = "tiny", text: str = "Léaves eat'light") -> Reading:
    return Reading(digest, source, settings, (Passage(source, text, 0.25, 1.125, WORDS), Passage(source, "end")))


@pytest.fixture
def index(tmp_path: Path) -> LanceIndex:
    return LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3)


def traces(folder: Path, mark: str) -> list[str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return [file.name for file in files if mark.encode() in file.read_bytes()]


def test_an_index_without_readings_has_none_and_makes_no_table(index: LanceIndex) -> None:
    assert index.readings.known() == {}
    assert list(index.readings.read()) == []
    index.readings.remove(["a"])
    index.readings.forget(["a"])
    assert not (Path(index.location) / "readings.lance").exists()


def test_readings_are_found_again_as_they_were(index: LanceIndex) -> None:
    silent = Reading("b", "speech", "tiny", (), "its sound stops at 0:01")
    index.readings.keep([made("a"), silent, made("a", source="subtitles")])
    for opened in (index, LanceIndex.open(index.location)):
        assert opened.readings.known() == {
            ("a", "speech"): "tiny",
            ("b", "speech"): "tiny",
            ("a", "subtitles"): "tiny",
        }
        found = {(reading.digest, reading.source): reading for reading in opened.readings.read()}
        assert found["a", "speech"] == made("a")
        assert found["b", "speech"] == silent
        assert found["a", "subtitles"] == made("a", source="subtitles")
        assert [reading.digest for reading in opened.readings.read(["b", "no such digest"])] == ["b"]


def test_another_reading_of_a_content_and_source_takes_the_place_of_the_first(index: LanceIndex) -> None:
    index.readings.keep([made("a"), made("b")])
    index.readings.keep([made("a", settings="small", text="ignored"), made("a", settings="base", text="better")])
    assert index.readings.known() == {("a", "speech"): "base", ("b", "speech"): "tiny"}
    assert {reading.digest: reading.passages[0].text for reading in index.readings.read()} == {
        "a": "better",
        "b": "Léaves eat'light",
    }


def test_readings_go_with_the_last_window_of_their_content(index: LanceIndex) -> None:
    windows = [make_video("a.mp4", digest="a", start=start, end=start + 1.0) for start in (0.0, 1.0)]
    other = make_video("b.mp4", digest="b")
    index.add([*windows, other])
    index.readings.keep([made("a"), made("a", source="subtitles"), made("b")])
    index.remove([windows[0][0].id])
    assert len(index.readings.known()) == 3
    index.remove([windows[1][0].id])
    assert index.readings.known() == {("b", "speech"): "tiny"}


def test_readings_of_a_content_go_when_another_takes_its_place(index: LanceIndex) -> None:
    index.add([make_video("a.mp4", digest="a"), make_video("b.mp4", digest="b")])
    index.readings.keep([made("a"), made("b"), made("c")])
    index.add([make_video("a.mp4", digest="c")])
    assert set(index.readings.known()) == {("b", "speech"), ("c", "speech")}


def test_no_file_holds_what_was_read_of_a_forgotten_video(index: LanceIndex) -> None:
    videos = [make_video(f"{name}.mp4", digest=name * 8) for name in "abc"]
    index.add(videos)
    index.readings.keep([made("a" * 8, text="the secret word"), made("b" * 8, text="the open word")])
    index.readings.keep([made("a" * 8, text="the secret words")])
    folder = Path(index.location)
    assert traces(folder, "the secret word")
    index.forget([videos[0][0].id])
    assert traces(folder, "the secret word") == []
    assert traces(folder, "the open word")
    assert index.readings.known() == {("b" * 8, "speech"): "tiny"}


def test_what_removed_videos_left_of_readings_goes_when_nothing_is_named(index: LanceIndex) -> None:
    videos = [make_video(f"{name}.mp4", digest=name * 8) for name in "ab"]
    index.add(videos)
    index.readings.keep([made("a" * 8, text="the secret word"), made("b" * 8, text="the open word")])
    index.remove([videos[0][0].id])
    folder = Path(index.location)
    assert traces(folder, "the secret word")
    index.forget([])
    assert traces(folder, "the secret word") == []
    assert traces(folder, "the open word")


def test_an_index_in_memory_keeps_readings() -> None:
    index = LanceIndex.create("memory://", model=MODEL, num_frames=3)
    index.readings.keep([made("a")])
    assert list(index.readings.read()) == [made("a")]


def test_a_damaged_table_is_one_clear_error(index: LanceIndex) -> None:
    index.readings.keep([made("a")])
    [data] = (Path(index.location) / "readings.lance" / "data").glob("*.lance")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with pytest.raises(IndexStoreError, match=r"is damaged: readings\.lance/data/.* is not what was written"):
        LanceIndex.open(index.location).readings.known()
    # The videos are not hurt.
    assert len(LanceIndex.open(index.location)) == 0


def test_what_was_kept_before_a_kill_is_there_once(index: LanceIndex) -> None:
    code = (
        "import sys\n"
        "from tests.index.lance.passages.test_reading_table import made\n"
        "from video_colbert.index import LanceIndex\n"
        "readings = LanceIndex.open(sys.argv[1]).readings\n"
        "for number in range(10_000):\n"
        "    readings.keep([made(str(number))])\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([warm_python(), "-c", code, index.location], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 3:
        pass
    os.kill(process.pid, signal.SIGKILL)
    printed = [int(line) for line in process.stdout.read().split()]
    process.wait()
    kept = sorted(int(reading.digest) for reading in LanceIndex.open(index.location).readings.read())
    assert kept == list(range(len(kept)))
    assert len(kept) > max([3, *printed])
    # It goes on from there.
    index.readings.keep([made("0"), made(str(len(kept)))])
    assert len(list(index.readings.read())) == len(kept) + 1


def test_a_repair_goes_back_to_the_last_readings_that_read(index: LanceIndex) -> None:
    index.add([make_video("a.mp4")])
    index.readings.keep([made("a")])
    index.readings.keep([made("b")])
    data = (Path(index.location) / "readings.lance" / "data").glob("*.lance")
    newest = max(data, key=lambda file: file.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:-40])
    with pytest.raises(IndexStoreError, match=r"readings\.lance/data/.* is truncated"):
        verify_index(index.location)
    repaired = repair_index(index.location)
    assert repaired.videos == 1
    assert [name.partition("_")[0] for name in repaired.set_aside] == ["readings"]
    assert list(LanceIndex.open(index.location).readings.read()) == [made("a")]
    assert verify_index(index.location).videos == 1


def test_a_repair_does_without_readings_of_which_no_version_reads(index: LanceIndex) -> None:
    index.add([make_video("a.mp4")])
    index.readings.keep([made("a")])
    folder = Path(index.location) / "readings.lance"
    for manifest in (folder / "_versions").glob("*.manifest"):
        manifest.write_bytes(b"no manifest")
    assert repair_index(index.location).set_aside == ("readings.lance",)
    opened = LanceIndex.open(index.location)
    assert opened.readings.known() == {}
    opened.readings.keep([made("b")])
    assert list(opened.readings.read()) == [made("b")]
