"""What is said and written on its way into an index: read once, kept, and reported where it cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tqdm import tqdm

from tests.index.ingest.made_readers import MadeReader
from tests.index.made_videos import MODEL, make_video
from tests.text.made_media import write_media
from tests.warm_python import warm_python
from video_colbert.encoding.media_files import content_digest
from video_colbert.errors import ModelLoadError
from video_colbert.index import LanceIndex
from video_colbert.index.indexed_video import FileFacts, IndexedVideo
from video_colbert.index.ingest.reading import ReadingPlace, read_passages
from video_colbert.index.ingest.reading_tasks.reading_process import start_reading
from video_colbert.text.description import DescriptionReader
from video_colbert.text.subtitles import SubtitleReader

ROOT = Path(__file__).parents[3]
# Reads all of a folder by one process and writes each reading at once.
READING = """
import sys
from pathlib import Path
from tests.index.ingest.made_readers import MadeReader
from video_colbert.index import LanceIndex
from video_colbert.index.ingest.reading import read_passages
folder = Path(sys.argv[1])
index = LanceIndex.open(folder / "index")
files = sorted((folder / "videos").iterdir())
read_passages(index, [MadeReader(folder / "log")], files, workers=1, seconds_between_writes=0.0)
"""


def indexed(folder: Path, *names: str, **metadata: str) -> tuple[LanceIndex, list[Path]]:
    """An index in which files of these names, whose contents are their names, stand."""
    index = LanceIndex.create(folder / "index", model=MODEL, num_frames=3)
    files = [folder / "videos" / name for name in names]
    (folder / "videos").mkdir()
    for file in files:
        file.write_text(file.name)
    add(index, files, metadata)
    return index, files


def add(index: LanceIndex, files: list[Path], metadata: dict[str, str]) -> None:
    videos = []
    for file in files:
        record, encoded = make_video(file.name)
        facts = FileFacts(size=file.stat().st_size, modified=file.stat().st_mtime)
        digest = content_digest(str(file))
        record = replace(record, path=str(file), digest=digest, facts=facts, metadata=metadata)
        videos.append((record, encoded))
    index.add(videos)


def texts(index: LanceIndex) -> set[str]:
    return {passage.text for reading in index.readings.read() for passage in reading.passages}


def test_what_was_read_is_kept_and_not_read_again(tmp_path: Path) -> None:
    index, files = indexed(tmp_path, "a.mp4", "b.mp4")
    log = tmp_path / "log"
    assert read_passages(index, [MadeReader(log)], files, workers=1).read == {"speech": 2}
    assert texts(index) == {"this is a.mp4", "this is b.mp4"}
    again = read_passages(index, [MadeReader(log)], files)
    assert (again.read, again.bad) == ({}, [])
    assert sorted(log.read_text().split()) == ["a.mp4", "b.mp4"]
    read_passages(index, [MadeReader(log, "another model")], files[:1], workers=1)
    assert log.read_text().split()[2:] == ["a.mp4"]
    assert sorted(index.readings.known().values()) == ["another model", "made"]


def test_a_bad_file_stops_no_other_and_says_why(tmp_path: Path) -> None:
    names = ("a.mp4", "change.mp4", "crash.mp4", "damaged.mp4", "gone.mp4", "z.mp4")
    index, files = indexed(tmp_path, *names)
    files[4].unlink()
    reader = MadeReader(tmp_path / "log")
    report = read_passages(index, [reader], files, workers=1)
    assert texts(index) == {"this is a.mp4", "what is left", "this is z.mp4"}
    reasons = {Path(bad.source).stem: bad.reason for bad in report.bad}
    assert set(reasons) == {"change", "crash", "damaged", "gone"}
    assert reasons["change"] == "speech: it changed since its pictures were encoded; index it again"
    assert reasons["damaged"] == "speech: 2 packets of its sound are damaged"
    assert reasons["gone"] == "speech: cannot be read: No such file or directory"
    assert reasons["crash"].startswith("speech: reading it ")
    known = read_passages(index, [reader], files[3:4])
    assert [(Path(bad.source).stem, bad.reason) for bad in known.known_bad] == [("damaged", reasons["damaged"])]
    assert known.bad == []
    retried = read_passages(index, [reader], files[3:4], workers=1, retry_bad=True)
    assert [Path(bad.source).stem for bad in retried.bad] == ["damaged"]


def test_a_model_that_does_not_load_ends_the_run(tmp_path: Path) -> None:
    index, files = indexed(tmp_path, "a.mp4")
    with pytest.raises(ModelLoadError, match="cannot be loaded: it is damaged"):
        read_passages(index, [MadeReader(tmp_path / "log", "unloadable")], files, workers=1)


def test_two_readers_of_one_source_are_refused(tmp_path: Path) -> None:
    index, files = indexed(tmp_path, "a.mp4")
    readers = [MadeReader(tmp_path / "log"), MadeReader(tmp_path / "log")]
    with pytest.raises(ValueError, match="must be of different sources"):
        read_passages(index, readers, files)


def test_subtitles_beside_a_video_are_read_again_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    film = write_media(tmp_path / "videos" / "a.mkv", subtitles={"eng": [(0.5, 1.0, "from inside")]})
    index = LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3)
    add(index, [film], {})
    reader = SubtitleReader()
    for text in ("from inside", "from beside", "from beside again"):
        assert read_passages(index, [reader], [film], workers=1).read == ({"subtitles": 1})
        assert texts(index) == {text}
        assert read_passages(index, [reader], [film]).read == {}
        said = "from beside" if text == "from inside" else "from beside again"
        film.with_suffix(".srt").write_text(f"1\n00:00:00,500 --> 00:00:01,000\n{said}\n")


def test_a_column_of_the_metadata_is_a_description_too(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    film = write_media(tmp_path / "videos" / "a.mkv", tags={"title": "On leaves", "comment": "How leaves eat"})
    index = LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3)
    add(index, [film], {"headline": "How leaves eat", "keywords": "On light", "year": "2020"})

    def descriptions(column: str | None) -> list[str]:
        read_passages(index, [DescriptionReader()], [film], description_column=column, workers=1)
        [reading] = index.readings.read()
        return [passage.text for passage in reading.passages]

    assert descriptions("headline") == ["How leaves eat", "On leaves"]
    index.set_metadata({video.id: {"headline": "On light"} for video in index.videos})
    assert descriptions("headline") == ["On light", "On leaves", "How leaves eat"]
    # What an earlier run named stays, and of the same text in two columns there is one.
    assert descriptions(None) == ["On light", "On leaves", "How leaves eat"]
    assert descriptions("year") == ["On light", "2020", "On leaves", "How leaves eat"]
    assert descriptions("keywords") == ["On light", "2020", "On leaves", "How leaves eat"]
    assert index.notes.description_columns == ("headline", "year", "keywords")
    assert read_passages(index, [DescriptionReader()], [film]).read == {}


def test_subtitles_beside_a_copy_alone_are_read_there(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    film = write_media(tmp_path / "videos" / "a.mkv", subtitles={"eng": [(0.5, 1.0, "from inside")]})
    copies = [film.with_name(name) for name in ("b.mkv", "c.mkv")]
    for copy in copies:
        copy.write_bytes(film.read_bytes())
        copy.with_suffix(".srt").write_text(f"1\n00:00:00,500 --> 00:00:01,000\nbeside {copy.name}\n")
    index = LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3)
    add(index, [film], {})
    index.set_copies({video.id: tuple(map(str, copies)) for video in index.videos})
    reader = SubtitleReader()

    def read() -> set[str]:
        report = read_passages(index, [reader], [film], workers=1)
        assert report.bad == []
        assert read_passages(index, [reader], [film]).read == {}
        return texts(index)

    assert read() == {"beside b.mkv"}
    # One that is no copy any more is passed over.
    copies[0].write_bytes(b"another content")
    assert read() == {"beside c.mkv"}
    film.with_suffix(".vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.000\nbeside the first\n")
    assert read() == {"beside the first"}


def test_files_of_one_content_that_are_not_stored_yet_are_read_with_what_lies_beside_any(tmp_path: Path) -> None:
    index, files = indexed(tmp_path)
    film = write_media(tmp_path / "videos" / "a.mkv")
    copy = film.with_name("b.mkv")
    copy.write_bytes(film.read_bytes())
    copy.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nbeside b.mkv\n")
    videos = []
    for path in (film, copy):
        facts = FileFacts(size=path.stat().st_size, modified=path.stat().st_mtime)
        videos.append(IndexedVideo(str(path), content_digest(str(path)), 2.0, (), facts=facts))
    place = ReadingPlace(videos, before=list)
    assert read_passages(index, [SubtitleReader()], [film, copy], place=place, workers=1).read == {"subtitles": 1}
    assert (files, texts(index)) == ([], {"beside b.mkv"})


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(3)]
    index, files = indexed(tmp_path, *names, "3long.mp4", "4.mp4")
    process = subprocess.Popen([warm_python(), "-c", READING, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
    log = tmp_path / "log"
    deadline = time.monotonic() + 60
    # The next file is begun while the last one is written.
    while len(index.readings.known()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    while "3long.mp4" not in log.read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    # Its end of the pipe is closed when all of it is gone.
    process.communicate()
    assert texts(index) == {f"this is {name}" for name in names}
    files[3].rename(files[3].with_name("short.mp4"))
    index.move({video.id: str(files[3].with_name("short.mp4")) for video in index.videos if "long" in video.path})
    left = [*files[:3], files[3].with_name("short.mp4"), files[4]]
    assert read_passages(index, [MadeReader(log)], left, workers=1).read == {"speech": 2}
    assert log.read_text().split()[:4] == [*names, "3long.mp4"]
    assert sorted(log.read_text().split()[4:]) == ["4.mp4", "short.mp4"]
    assert len(list(index.readings.read())) == 5


def test_bars_of_recognisers_make_no_lock_that_an_ended_process_would_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tqdm, "_lock", raising=False)
    start_reading([], 1, [0.0])
    assert isinstance(tqdm.get_lock(), type(threading.RLock()))


def test_a_file_that_was_only_touched_holds_its_content_and_is_read(tmp_path: Path) -> None:
    index, files = indexed(tmp_path, "a.mp4", "b.mp4")
    os.utime(files[0], (1.0, 1.0))
    # Of the same length.
    files[1].write_text("c.mp4")
    report = read_passages(index, [MadeReader(tmp_path / "log")], files, workers=1)
    assert texts(index) == {"this is a.mp4"}
    assert [Path(bad.source).name for bad in report.bad] == ["b.mp4"]
