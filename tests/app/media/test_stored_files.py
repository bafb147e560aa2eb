"""Files that are given out: those that the index holds, as they were indexed, and none that links lead to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.video_files import write_clip
from video_colbert import Index, VideoColBERTEncoder, open_index
from video_colbert.app.media.stored_files import find_stored_file
from video_colbert.errors import NotServedError


@pytest.fixture
def index(tmp_path: Path, encoder: VideoColBERTEncoder) -> Index:
    write_clip(tmp_path / "videos" / "sub" / "a.mp4", 0)
    index = open_index(tmp_path / "index", encoder)
    index.add(tmp_path / "videos")
    return index


def only_id(index: Index) -> str:
    [video] = index.videos
    return video.digest


def test_a_file_is_found_by_the_digest_of_its_content(tmp_path: Path, index: Index) -> None:
    path = tmp_path / "videos" / "sub" / "a.mp4"
    found = find_stored_file(index.stored, hashlib.sha256(path.read_bytes()).hexdigest())
    assert (found.path, found.name, found.size, found.duration) == (path, "a.mp4", path.stat().st_size, 3.0)


@pytest.mark.parametrize("asked", ["", "0" * 64, "../videos/sub/a.mp4", "/etc/passwd", "a.mp4", "x" * 10000, "\0"])
def test_nothing_else_is_an_id(index: Index, asked: str) -> None:
    with pytest.raises(NotServedError, match="holds no video of this id"):
        find_stored_file(index.stored, asked)


def test_a_file_that_became_a_link_out_of_the_folders_is_refused(tmp_path: Path, index: Index) -> None:
    path = tmp_path / "videos" / "sub" / "a.mp4"
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(NotServedError, match=r"a\.mp4 is reached by a link that leads out of the folders"):
        find_stored_file(index.stored, only_id(index))


def test_a_folder_that_became_a_link_out_of_the_folders_is_refused(tmp_path: Path, index: Index) -> None:
    sub = tmp_path / "videos" / "sub"
    sub.rename(tmp_path / "elsewhere")
    sub.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(NotServedError, match="leads out of the folders"):
        find_stored_file(index.stored, only_id(index))


def test_a_link_within_the_folders_and_a_folder_that_is_a_link_are_followed(tmp_path: Path, index: Index) -> None:
    videos = tmp_path / "videos"
    (videos / "sub" / "a.mp4").rename(videos / "b.mp4")
    (videos / "sub" / "a.mp4").symlink_to(videos / "b.mp4")
    assert find_stored_file(index.stored, only_id(index)).path == videos / "b.mp4"
    videos.rename(tmp_path / "disk")
    videos.symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "sub" / "a.mp4").unlink()
    (tmp_path / "disk" / "b.mp4").rename(tmp_path / "disk" / "sub" / "a.mp4")
    assert find_stored_file(index.stored, only_id(index)).path == tmp_path / "disk" / "sub" / "a.mp4"


def test_a_file_named_by_itself_may_not_be_a_link_elsewhere(tmp_path: Path, encoder: VideoColBERTEncoder) -> None:
    path = write_clip(tmp_path / "one" / "a.mp4", 0)
    index = open_index(tmp_path / "single", encoder)
    index.add(path)
    assert find_stored_file(index.stored, only_id(index)).path == path
    path.rename(tmp_path / "b.mp4")
    path.symlink_to(tmp_path / "b.mp4")
    with pytest.raises(NotServedError, match="leads out of the folders"):
        find_stored_file(index.stored, only_id(index))


def test_what_is_gone_or_changed_is_refused_and_a_copy_takes_its_place(
    tmp_path: Path, encoder: VideoColBERTEncoder, index: Index
) -> None:
    path = tmp_path / "videos" / "sub" / "a.mp4"
    content = path.read_bytes()
    path.write_bytes(content + b"more")
    with pytest.raises(NotServedError, match=r"a\.mp4 has changed since it was indexed"):
        find_stored_file(index.stored, only_id(index))
    path.unlink()
    with pytest.raises(NotServedError, match=r"a\.mp4 is gone"):
        find_stored_file(index.stored, only_id(index))
    path.write_bytes(content)
    copy = tmp_path / "videos" / "copy.mp4"
    copy.write_bytes(content)
    index.add(tmp_path / "videos")
    path.unlink()
    assert find_stored_file(index.stored, only_id(index)).path == copy
