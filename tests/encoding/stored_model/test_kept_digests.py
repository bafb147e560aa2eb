from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from video_colbert.encoding.stored_model import kept_digests
from video_colbert.encoding.stored_model.kept_digests import kept_digest

SIZE = 2**20


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read."""
    read: list[str] = []

    def content_digest(path: str) -> str:
        read.append(path)
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    monkeypatch.setattr(kept_digests, "content_digest", content_digest)
    return read


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_digests.time, "time", lambda: time.monotonic() + 1e12)


def test_a_file_is_read_once(tmp_path: Path, reads: list[str], settled: None) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"a" * SIZE)
    expected = hashlib.sha256(b"a" * SIZE).hexdigest()
    assert [kept_digest(file), kept_digest(file)] == [expected, expected]
    assert len(reads) == 1


def test_a_file_that_was_changed_in_place_is_read_again(tmp_path: Path, reads: list[str], settled: None) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"a" * SIZE)
    kept_digest(file)
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"b")
    # The same size, and the time of the last change is put back.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kept_digest(file) == hashlib.sha256(b"b" + b"a" * (SIZE - 1)).hexdigest()
    assert len(reads) == 2


def test_a_file_that_was_just_written_is_not_kept(tmp_path: Path, reads: list[str]) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"a" * SIZE)
    kept_digest(file)
    kept_digest(file)
    assert len(reads) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', '{"x": [1, 2, 3, 4, 5, 6]}'])
def test_what_is_kept_may_be_damaged(tmp_path: Path, cache: Path, settled: None, content: str) -> None:
    cache.mkdir()
    (cache / "digests.json").write_text(content)
    file = tmp_path / "weights"
    file.write_bytes(b"a" * SIZE)
    assert kept_digest(file) == kept_digest(file) == hashlib.sha256(b"a" * SIZE).hexdigest()
