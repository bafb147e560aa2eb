import json
import os
import sys
from pathlib import Path

import pytest

from tests.text.made_media import write_media
from video_colbert.cli import main


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    cues = [(0.5, 1.0, "Leaves make sugar.")]
    write_media(folder / "talk.mkv", tags={"title": "On leaves"}, subtitles={"eng": cues})
    return folder


def test_passages_of_several_sources_are_json_lines(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passages", str(videos), "--subtitles", "--description"]) == 0
    subtitle, title = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert subtitle == {
        "video": str(videos / "talk.mkv"),
        "source": "subtitles",
        "text": "Leaves make sugar.",
        "start": 0.5,
        "end": 1.0,
        "words": [["Leaves", 0.5, 0.688], ["make", 0.688, 0.812], ["sugar.", 0.812, 1.0]],
    }
    assert (title["source"], title["text"], title["start"], title["words"]) == ("description", "On leaves", None, [])


def test_a_file_that_cannot_be_read_is_told_and_hides_no_other(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (videos / "notes.mp4").write_bytes(b"no video")
    assert main(["passages", str(videos), "--description"]) == 3
    told = capsys.readouterr()
    assert [json.loads(line)["text"] for line in told.out.splitlines()] == ["On leaves"]
    assert f"{videos / 'notes.mp4'}: is not a video file" in told.err


def test_a_folder_that_is_closed_is_told(
    videos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (videos / "closed").mkdir()
    scan = os.scandir

    def scandir(folder: str) -> object:
        if os.fspath(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert main(["passages", str(videos), "--description"]) == 3
    assert f"{videos / 'closed'}: the folder cannot be looked into" in capsys.readouterr().err


def test_nothing_to_read_and_a_language_that_is_none_are_refused(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["passages", str(videos)]) == 1
    assert "nothing is to be read; name --subtitles, --speech MODEL" in capsys.readouterr().err
    assert main(["passages", str(videos), "--subtitles", "--language", "the first"]) == 1
    assert "the first" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named_with_its_extra(
    videos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("pysubs2", "faster_whisper", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    for flags, extra in (["--subtitles"], "text"), (["--speech", "m"], "speech"), (["--screen-text"], "screen-text"):
        assert main(["passages", str(videos), *flags]) == 1
        assert f"pip install 'video-colbert[{extra}]'" in capsys.readouterr().err
