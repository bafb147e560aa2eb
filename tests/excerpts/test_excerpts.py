from __future__ import annotations

import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.excerpts.made_media import number_of, write_media
from tests.video_files import write_bad_files
from video_colbert.errors import ExcerptError
from video_colbert.excerpts import (
    CutReport,
    ExcerptCache,
    Stretch,
    browser_plays,
    cut_video,
    frame_picture,
    join_ranges,
    playable_excerpt,
)
from video_colbert.excerpts import excerpt_cache as cache_module
from video_colbert.excerpts.excerpt_cache import cut_suffix
from video_colbert.processing import decode_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def video(folder: Path) -> Path:
    return write_media(folder / "plain.mp4")


def numbers(path: Path) -> list[int]:
    return [number_of(frame) for frame in decode_video(path).frames]


def test_a_cut_is_copied_where_it_can_be_and_exact_where_it_is_asked(folder: Path, video: Path) -> None:
    copied = cut_video(video, 1.25, 1.8, folder / "out" / "copied.mp4")
    assert copied == CutReport(str(folder / "out/copied.mp4"), copied.stretches, is_copy=True)
    assert numbers(folder / "out/copied.mp4")[:3] == [10, 11, 12]
    exact = cut_video(video, 1.25, 1.8, folder / "out/exact.mp4", exact=True)
    assert (exact.is_copy, exact.reason, exact.stretches) == (False, None, (Stretch(str(video), 1.25, 1.8),))
    assert numbers(folder / "out/exact.mp4") == [12, 13, 14, 15, 16, 17]
    # Nothing else is left behind.
    assert sorted(each.name for each in (folder / "out").iterdir()) == ["copied.mp4", "exact.mp4"]


def test_what_cannot_be_copied_is_encoded_again_and_says_why(folder: Path) -> None:
    source = write_media(folder / "old.avi", codec="mpeg4", sound="mp2")
    report = cut_video(source, 1.0, 1.5, folder / "from_avi.mp4")
    assert (report.is_copy, report.reason) == (False, "packets of the container avi are not copied")
    assert numbers(folder / "from_avi.mp4") == [10, 11, 12, 13, 14]
    excerpt = playable_excerpt(source, 1.0, 1.5, folder / "playable.mp4", max_height=24)
    assert browser_plays(excerpt)
    assert decode_video(excerpt).frames.shape == (5, 24, 32, 3)


def test_ranges_of_several_videos_are_joined(folder: Path, video: Path) -> None:
    report = join_ranges([Stretch(str(video), 2.0, 2.3), Stretch(str(video), 0.5, 0.7)], folder / "joined.mp4")
    assert report.seconds == pytest.approx(0.5)
    assert numbers(folder / "joined.mp4") == [20, 21, 22, 5, 6]
    with pytest.raises(ValueError, match="there is no stretch to join"):
        join_ranges([], folder / "none.mp4")


def test_a_picture_is_the_frame_on_show(video: Path) -> None:
    for second, number in ((0.0, 0), (1.25, 12), (2.9, 29), (99.0, 29)):
        image = Image.open(io.BytesIO(frame_picture(video, second, 96)))
        assert (image.format, image.size) == ("JPEG", (64, 48))
        assert number_of(np.asarray(image)) == number
    assert Image.open(io.BytesIO(frame_picture(video, 1.0, 24))).size == (32, 24)
    with pytest.raises(ValueError, match="height must be at least 1"):
        frame_picture(video, 1.0, 0)


def test_bad_files_are_named_and_leave_no_file(folder: Path, tmp_path: Path) -> None:
    bad = write_bad_files(folder / "bad")
    for name in ("text", "empty", "audio"):
        with pytest.raises(ExcerptError, match=rf"{name}\.mp4"):
            cut_video(bad[name], 0.0, 1.0, tmp_path / "out.mp4")
    with pytest.raises(ExcerptError, match=r"none\.mp4: there is no such file"):
        playable_excerpt(folder / "none.mp4", 0.0, 1.0, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(video: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExcerptError, match=r"file/out\.mp4: cannot be written: "):
        cut_video(video, 0.0, 1.0, tmp_path / "file" / "out.mp4")
    with pytest.raises(ExcerptError, match=r"cannot be cut: what is encoded again goes into \.mp4, .* not \.webm"):
        cut_video(video, 0.0, 1.0, tmp_path / "out.webm", exact=True)


def test_work_that_hangs_is_given_up(folder: Path) -> None:
    pipe = folder / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(ExcerptError, match=r"pipe\.mp4: there is no such file"):
        frame_picture(pipe, 0.0, 10)
    long = write_media(folder / "long.mp4", frames=250, size=(640, 480), sound=None)
    with pytest.raises(
        ExcerptError, match=r"long\.mp4: .*(did not end within|longer to decode than the limit of) 0\.2 s"
    ):
        playable_excerpt(long, 0.0, 25.0, folder / "never.mp4", time_limit=0.2)
    assert not (folder / "never.mp4").exists()


@pytest.mark.parametrize(
    ("name", "settings", "plays"),
    [
        ("a.mp4", {}, True),
        ("b.mp4", {"codec": "libx265"}, False),
        ("c.mp4", {"pixel_format": "yuv444p"}, False),
        ("d.mov", {}, False),
        ("e.mkv", {}, False),
        ("f.mkv", {"codec": "libvpx-vp9", "sound": "libopus"}, False),
        ("g.webm", {"codec": "libvpx-vp9", "sound": "libopus"}, True),
        ("h.avi", {"codec": "mpeg4", "sound": "mp2"}, False),
        ("i.gif", {"codec": "gif", "sound": None, "pixel_format": "rgb8"}, False),
        ("j.mp4", {"sound": None}, True),
    ],
)
def test_browsers_play_what_all_of_them_know(tmp_path: Path, name: str, settings: dict[str, Any], plays: bool) -> None:
    assert browser_plays(write_media(tmp_path / name, frames=3, **settings)) is plays


def test_what_is_no_video_does_not_play(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("words" * 100)
    assert not browser_plays(tmp_path / "text.mp4")
    assert not browser_plays(tmp_path / "none.mp4")
    assert not browser_plays(tmp_path)


def test_a_cut_of_each_container_goes_where_its_packets_can_be_copied() -> None:
    endings = {name: cut_suffix(name, exact=False) for name in ("a.MP4", "b.mov", "c.webm", "d.avi", "e")}
    assert endings == {"a.MP4": ".mp4", "b.mov": ".mov", "c.webm": ".mkv", "d.avi": ".mp4", "e": ".mp4"}
    assert cut_suffix("a.mkv", exact=True) == ".mp4"


def test_the_cache_makes_each_file_once_and_waits_for_one_work(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[float, float]] = []

    def make(source: object, start: float, end: float, file: Path, **options: object) -> None:
        made.append((start, end))
        time.sleep(0.2)
        file.write_bytes(b"x" * 100)

    monkeypatch.setattr(cache_module, "playable_excerpt", make)
    cache = ExcerptCache(tmp_path / "cache", max_bytes=250)
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda _: cache.excerpt(video, 0.0, 1.0), range(8)))
    assert (len(set(files)), made) == (1, [(0.0, 1.0)])
    second = cache.excerpt(video, 1.0, 2.0)
    os.utime(files[0], (1, 1))
    # Used again: the other one is older now.
    assert cache.excerpt(video, 0.0, 1.0) == files[0]
    os.utime(second, (2, 2))
    third = cache.excerpt(video, 2.0, 3.0)
    assert [file.exists() for file in (files[0], second, third)] == [True, False, True]
    os.utime(video, (5, 5))
    assert cache.excerpt(video, 0.0, 1.0) != files[0]
    assert len(made) == 4


def test_the_cache_makes_few_at_once_and_tells_all_who_wait_of_an_error(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def fail(source: object, second: float, height: int, **options: object) -> bytes:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        if second < 1:
            raise ExcerptError("no picture")
        return b"picture"

    monkeypatch.setattr(cache_module, "frame_picture", fail)
    cache = ExcerptCache(tmp_path / "cache", max_bytes=10**6, works=2)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(cache.picture, video, second, 10) for second in (0.0, 0.0, 1.0, 2.0, 3.0, 4.0)]
    assert most == 2
    assert [str(each.exception()) for each in waiting[:2]] == ["no picture"] * 2
    assert all(each.result().read_bytes() == b"picture" for each in waiting[2:])
    with pytest.raises(ExcerptError, match=r"none\.mp4: cannot be read: No such file"):
        cache.picture(tmp_path / "none.mp4", 0.0, 10)
    with pytest.raises(ValueError, match="must be at least 1"):
        ExcerptCache(tmp_path, max_bytes=0)


def test_the_cache_cuts_and_drops_what_a_killed_process_left(tmp_path: Path, video: Path) -> None:
    (tmp_path / "cache" / ".cut_left").mkdir(parents=True)
    cache = ExcerptCache(tmp_path / "cache", max_bytes=10**9)
    assert list((tmp_path / "cache").iterdir()) == []
    with av.open(str(cache.cut(video, 1.0, 1.5, exact=True))) as container:
        assert container.streams.video[0].frames == 5
