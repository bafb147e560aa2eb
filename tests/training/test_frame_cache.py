import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from video_colbert.processing import DecodedVideo
from video_colbert.training.frame_cache import FrameCache

SETTINGS = {"num_frames": 4}


def some_video(seed: int = 0, num_frames: int = 4) -> DecodedVideo:
    generator = np.random.default_rng(seed)
    frames = generator.integers(0, 256, (num_frames, 8, 8, 3), dtype=np.uint8)
    return DecodedVideo(frames, np.arange(num_frames, dtype=np.float64), float(num_frames))


def assert_same(actual: DecodedVideo | None, expected: DecodedVideo) -> None:
    assert actual is not None
    np.testing.assert_array_equal(actual.frames, expected.frames)
    np.testing.assert_array_equal(actual.timestamps, expected.timestamps)
    assert actual.duration == expected.duration


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def source(path: Path) -> dict[str, Any]:
    return {"path": str(path), "bytes": None}


def test_frames_come_back_as_they_were_stored(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, 10**6)
    assert cache.get("key") is None
    assert cache.put("key", some_video())
    assert_same(cache.get("key"), some_video())
    assert_same(FrameCache(tmp_path, 10**6).get("key"), some_video())


def test_key_follows_the_content_of_a_file_and_the_settings_and_not_its_name(tmp_path: Path) -> None:
    first = tmp_path / "first.mp4"
    first.write_bytes(bytes(200_000))
    key = FrameCache.key(source(first), SETTINGS)
    moved = shutil.copy2(first, tmp_path / "moved.mp4")
    assert FrameCache.key(source(moved), SETTINGS) == key
    assert FrameCache.key(source(first), {"num_frames": 5}) != key
    # In the middle, between the parts that are read; the time of change tells.
    changed = bytearray(200_000)
    changed[100_000] = 1
    first.write_bytes(changed)
    status = first.stat()
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert FrameCache.key(source(first), SETTINGS) != key
    # At the end, with the time of change put back.
    last = bytearray(200_000)
    last[-1] = 1
    moved.write_bytes(last)
    status = (tmp_path / "moved.mp4").stat()
    original = FrameCache.key(source(moved), SETTINGS)
    last[-1] = 2
    moved.write_bytes(last)
    os.utime(moved, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert FrameCache.key(source(moved), SETTINGS) != original


def test_key_of_bytes_follows_them() -> None:
    keys = {FrameCache.key({"path": None, "bytes": content}, SETTINGS) for content in (b"one", b"two", b"one")}
    assert len(keys) == 2


def test_folder_never_grows_past_its_bound(tmp_path: Path) -> None:
    bound = 10_000
    cache = FrameCache(tmp_path, bound)
    stored = [cache.put(f"{seed}", some_video(seed)) for seed in range(20)]
    assert any(stored)
    assert not all(stored)
    assert size_of(tmp_path) <= bound
    # Whoever comes later finds it full, and what it holds.
    later = FrameCache(tmp_path, bound)
    for seed in range(20, 40):
        later.put(f"{seed}", some_video(seed))
    assert size_of(tmp_path) <= bound
    assert_same(later.get("0"), some_video(0))
    assert later.get(f"{stored.index(False)}") is None


def test_processes_share_the_room(tmp_path: Path) -> None:
    bound = 15_000
    caches = [FrameCache(tmp_path, bound, num_processes=3) for _ in range(3)]
    for seed in range(30):
        caches[seed % 3].put(f"{seed}", some_video(seed))
    assert bound / 2 < size_of(tmp_path) <= bound
    assert len(list(tmp_path.iterdir())) < 30


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_file_that_was_cut_is_forgotten(tmp_path: Path, share: float) -> None:
    cache = FrameCache(tmp_path, 10**6)
    cache.put("key", some_video())
    [file] = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert cache.get("key") is None
    assert not file.exists()
    assert cache.put("key", some_video())
    assert_same(cache.get("key"), some_video())


def test_flipped_byte_never_gives_other_frames(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, 10**6)
    cache.put("key", some_video())
    [file] = tmp_path.iterdir()
    content = file.read_bytes()
    for place in range(0, len(content), 13):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        file.write_bytes(flipped)
        found = cache.get("key")
        if found is not None:
            assert_same(found, some_video())


def test_folder_may_be_deleted_while_it_is_used(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "cache", 10**6)
    cache.put("key", some_video())
    shutil.rmtree(tmp_path / "cache")
    assert cache.get("key") is None
    assert cache.put("key", some_video())
    assert_same(cache.get("key"), some_video())


def test_folder_that_cannot_be_written_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FrameCache(tmp_path / "cache", 10**6)
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("a file in its place")
    assert not cache.put("key", some_video())
    assert "Frames cannot be stored" in caplog.text
    assert cache.get("key") is None
