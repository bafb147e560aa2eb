from pathlib import Path

import pytest

from video_colbert.encoding.display import format_seconds, short_name


def test_seconds_carry_into_minutes_and_minutes_into_hours() -> None:
    assert [format_seconds(value) for value in (0, 9.96, 59.96, 61.24, 3599.96, 36610.5)] == [
        "0:00.0",
        "0:10.0",
        "1:00.0",
        "1:01.2",
        "1:00:00.0",
        "10:10:10.5",
    ]


def test_a_file_below_the_working_directory_is_named_from_there_and_a_url_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert short_name(str(folder / "videos" / "a.mp4")) == str(Path("videos") / "a.mp4")
    assert short_name(str(tmp_path / "a.mp4")) == str(tmp_path / "a.mp4")
    assert short_name("http://videos.example/a.mp4") == "http://videos.example/a.mp4"
