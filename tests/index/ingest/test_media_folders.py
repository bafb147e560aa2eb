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


def test_other_files_are_counted_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "notes.txt", tmp_path / "more.txt", tmp_path / "README")
    touch(tmp_path / ".hidden.mp4", tmp_path / ".cache" / "b.mp4")
    found = find_video_files([tmp_path])
    assert [path.name for path in found.files] == ["a.mp4"]
    assert found.left_out == {".txt": 2, "no suffix": 1}


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
