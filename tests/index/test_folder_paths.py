from __future__ import annotations

from pathlib import Path

import pytest

from video_colbert.index.filters import AllOf, Comparison, Membership, TextMatch, parse_filter
from video_colbert.index.folder_paths import inside_folders, working_folder

FOLDERS = ["/videos", "/films/old"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "path startswith 'holiday/'",
            TextMatch("path", ("/videos/holiday/", "/films/old/holiday/", "holiday/")),
        ),
        ("path startswith './a'", TextMatch("path", ("/videos/a", "/films/old/a", "./a"))),
        ("path startswith '../a'", TextMatch("path", ("/a", "/films/a", "../a"))),
        ("path startswith '.'", TextMatch("path", ("/videos/", "/films/old/", "."))),
        ("path startswith '/videos/'", TextMatch("path", ("/videos/",))),
        ("path startswith 'https://host/'", TextMatch("path", ("https://host/",))),
        ("path like 'a_%'", TextMatch("path", ("/videos/", "/films/old/", ""), "a_%")),
        ("path not like '/a/%'", TextMatch("path", ("",), "/a/%", negated=True)),
        ("path = 'a.mp4'", Membership("path", ("/videos/a.mp4", "/films/old/a.mp4", "a.mp4"))),
        ("not path = '/a.mp4'", Membership("path", ("/a.mp4",), negated=True)),
        ("path not in ('/a', 'b')", Membership("path", ("/a", "/videos/b", "/films/old/b", "b"), negated=True)),
        (
            "path < 'b' and place startswith 'b'",
            AllOf((Comparison("path", "<", "b"), TextMatch("place", ("b",)))),
        ),
    ],
)
def test_a_path_that_is_not_absolute_is_looked_for_in_each_folder(text: str, expected: object) -> None:
    assert inside_folders(parse_filter(text), FOLDERS) == expected


def test_a_working_directory_that_was_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert working_folder() == [str(tmp_path)]

    def gone() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr("video_colbert.index.folder_paths.Path.cwd", gone)
    assert working_folder() == []
