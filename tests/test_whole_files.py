from __future__ import annotations

from pathlib import Path

import pytest

from video_colbert.whole_files import write_whole


def test_the_older_file_stays_where_the_new_one_cannot_be_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_whole(path, "older")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "newer, but \ud800")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_to_the_new_content(tmp_path: Path) -> None:
    target, link = tmp_path / "real.json", tmp_path / "link.json"
    target.write_text("older")
    link.symlink_to(target)
    write_whole(link, "newer ü")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "newer ü"


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a.json", "x")
