from __future__ import annotations

from pathlib import Path

import pytest

from video_colbert.errors import IndexStoreError
from video_colbert.index import IndexedVideo
from video_colbert.index.named_videos import find_named


def stored(path: str, digest: str, start: float | None = None, end: float | None = None) -> IndexedVideo:
    return IndexedVideo(path, digest * 64, 9.0, (0.0,), start, end)


VIDEOS = [
    stored("/videos/one/a.mp4", "1"),
    stored("/videos/two/a.mp4", "2"),
    stored("/videos/two/b.mp4", "3", 0.0, 2.0),
    stored("/videos/two/b.mp4", "3", 2.0, 4.0),
    stored("https://x.org/c.mp4?v=1", "4"),
]
B = [VIDEOS[2].id, VIDEOS[3].id]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/videos/one/a.mp4", [VIDEOS[0].id]),
        ("/videos/one/../one/a.mp4", [VIDEOS[0].id]),
        ("one/a.mp4", [VIDEOS[0].id]),
        ("b.mp4", B),
        ("3" * 64, B),
        (VIDEOS[3].id, [VIDEOS[3].id]),
        ("https://x.org/c.mp4?v=1", [VIDEOS[4].id]),
    ],
)
def test_a_video_is_found_by_path_end_of_path_content_id_and_url(name: str, expected: list[str]) -> None:
    assert find_named(VIDEOS, [name], "here") == expected
    assert find_named(VIDEOS, [name, name], "here") == expected


def test_a_path_is_looked_for_from_the_working_directory_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    videos = [*VIDEOS, stored(str(tmp_path / "a.mp4"), "5")]
    assert find_named(videos, ["a.mp4"], "here") == [videos[-1].id]


def test_a_name_of_several_videos_and_names_of_none_are_errors_that_say_so() -> None:
    with pytest.raises(IndexStoreError, match=r"a\.mp4 may be /videos/one/a\.mp4 or /videos/two/a\.mp4"):
        find_named(VIDEOS, ["a.mp4"], "here")
    with pytest.raises(IndexStoreError, match=r"not in the index in here: \.mp4, c\.mp4; nothing was removed"):
        find_named(VIDEOS, ["b.mp4", ".mp4", "c.mp4"], "here")
