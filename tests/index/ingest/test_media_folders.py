import os
from pathlib import Path

import pytest

from video_colbert.index.ingest.media_folders import find_video_files


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)


def test_folders_are_searched_at_any_depth_in_order(tmp_path: Path) -> None:
    touch(tmp_path / "b.MP4", tmp_path / "a.mkv", tmp_path / "deep" / "er" / "c.webm")
    found = find_video_files([tmp_path])
    assert [path.name for path in found.files] == ["a.mkv", "b.MP4", "c.webm"]
    assert all(path.is_absolute() for path in found.files)


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "notes.txt", tmp_path / "more.txt", tmp_path / "README")
    touch(tmp_path / ".hidden.mp4", tmp_path / ".cache" / "b.mp4", tmp_path / "._a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself.mp4").symlink_to(tmp_path / "itself.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    found = find_video_files([tmp_path])
    assert [path.name for path in found.files] == ["a.mp4"]
    assert found.left_out == {".txt": 2, "no suffix": 1}
    assert found.hidden == 3
    assert {path.name for path in found.dangling} == {"gone.mp4", "itself.mp4", "pipe.mp4"}


def test_links_are_followed_and_each_folder_is_looked_into_once(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    touch(root / "deep" / "a.mp4", tmp_path / "disk" / "b.mp4", root / "folder.mp4" / "c.mp4")
    (root / "a link").symlink_to(tmp_path / "disk", target_is_directory=True)
    (root / "around").symlink_to(root, target_is_directory=True)
    (root / "again").symlink_to(root / "deep", target_is_directory=True)
    (root / "link.mp4").symlink_to(tmp_path / "disk" / "b.mp4")
    found = find_video_files([root])
    assert [path.relative_to(root).as_posix() for path in found.files] == [
        "a link/b.mp4",
        "deep/a.mp4",
        "folder.mp4/c.mp4",
        "link.mp4",
    ]
    assert found.followed == [root / "a link"]


def test_folder_that_cannot_be_looked_into_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "locked" / "b.mp4")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        # Modes do not bind the user root, as whom tests may run.
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_video_files([tmp_path])
    assert [path.name for path in found.files] == ["a.mp4"]
    assert found.unreadable == {tmp_path / "locked": "Permission denied"}


@pytest.mark.parametrize("suffix", [".3gpp", ".insv", ".m2t", ".mpe", ".mts", ".ogm", ".MXF", ".rmvb", ".dv", ".opus"])
def test_suffixes_of_cameras_phones_and_recorders_are_media(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path / f"a{suffix}")
    assert len(find_video_files([tmp_path]).files) == 1


def test_named_file_is_taken_whatever_its_suffix_and_only_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "clip.bin")
    found = find_video_files([tmp_path / "clip.bin", tmp_path, tmp_path / "a.mp4", tmp_path / "." / "clip.bin"])
    assert [path.name for path in found.files] == ["clip.bin", "a.mp4"]


def test_missing_source_and_folder_without_video_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*none"):
        find_video_files([tmp_path / "none"])
    touch(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match=f"there is no video file in {tmp_path}"):
        find_video_files([tmp_path])
