import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from video_colbert.dataset_builders.annotation_files import AnnotationError
from video_colbert.dataset_builders.video_files import MissingVideosError, look_through, user_path
from video_colbert.dataset_builders.video_folder import VideoFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    for name in ("b.mp4", "a.webm", "deep/er/c.MOV", ".hidden.mp4", ".trash/d.mp4", "notes.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def built(folder: Path, **kwargs: object) -> list[dict[str, Any]]:
    builder = VideoFolder(cache_dir=str(folder.parent / "cache"), data_dir=str(folder), **kwargs)
    builder.download_and_prepare()
    return builder.as_dataset(split=kwargs.get("split", "train")).to_list()


def write_jsonl(file: Path, *rows: dict[str, Any]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_folder_of_a_user_that_there_is_not_is_named_as_any_that_is_not_there() -> None:
    with pytest.raises(NotADirectoryError, match=r"no such folder of videos: .*~nobody_here/videos"):
        look_through("~nobody_here/videos", (".mp4",))
    assert user_path("~/videos") == Path.home() / "videos"


def test_videos_are_found_at_any_depth_without_captions(folder: Path) -> None:
    rows = built(folder)
    assert [row["video_id"] for row in rows] == ["a.webm", "b.mp4", "deep/er/c.MOV"]
    assert rows[2] == {
        "video_id": "deep/er/c.MOV",
        "video": {"bytes": None, "path": str(folder / "deep/er/c.MOV")},
        "captions": [],
        "start": None,
        "end": None,
    }


def test_several_lines_of_a_video_are_several_captions_and_uncaptioned_videos_stay(folder: Path) -> None:
    write_jsonl(
        folder / "captions.jsonl",
        {"video": "deep/er/c.MOV", "caption": "one"},
        {"video": "./a.webm", "caption": "a thing, with comma", "extra": 1},
        {"video": "deep/er/c.MOV", "caption": "two"},
    )
    assert {row["video_id"]: row["captions"] for row in built(folder)} == {
        "deep/er/c.MOV": ["one", "two"],
        "a.webm": ["a thing, with comma"],
        "b.mp4": [],
    }


def test_csv_and_jsonl_give_the_same_rows(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(
        'video,caption,start,end\nb.mp4,"one, two",1.5,3\nb.mp4,whole,,\nb.mp4,again,1.5,3\n'
    )
    write_jsonl(
        tmp_path / "c.jsonl",
        {"video": "b.mp4", "caption": "one, two", "start": 1.5, "end": 3},
        {"video": "b.mp4", "caption": "whole"},
        {"video": "b.mp4", "caption": "again", "start": 1.5, "end": 3.0},
    )
    rows = built(folder, captions=str(tmp_path / "c.csv"))
    assert rows == built(folder, captions=str(tmp_path / "c.jsonl"))
    assert [(row["video_id"], row["start"], row["end"], row["captions"]) for row in rows[:2]] == [
        ("b.mp4#t=1.5,3.0", 1.5, 3.0, ["one, two", "again"]),
        ("b.mp4", None, None, ["whole"]),
    ]


def test_captions_of_absent_files_are_an_error_that_names_them(folder: Path) -> None:
    write_jsonl(
        folder / "captions.jsonl",
        {"video": "b.mp4", "caption": "there"},
        {"video": "x.mp4", "caption": "gone"},
        {"video": "y.mp4", "caption": "gone"},
    )
    with pytest.raises(MissingVideosError, match=r"2 of 3 videos are not in .*: x.mp4, y.mp4") as raised:
        built(folder)
    assert raised.value.missing == ["x.mp4", "y.mp4"]


def test_allow_missing_keeps_their_rows_with_a_null_video(folder: Path) -> None:
    write_jsonl(folder / "captions.jsonl", {"video": "x.mp4", "caption": "gone"})
    rows = built(folder, allow_missing=True)
    assert rows[0] == {"video_id": "x.mp4", "video": None, "captions": ["gone"], "start": None, "end": None}
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("c.csv", "video,text\nb.mp4,x\n", 1, "it has 'video', 'text', and no caption"),
        ("c.csv", "video,caption\nb.mp4,x\nb.mp4\n", 3, "expected 2 cells"),
        ("c.csv", 'video,caption\nb.mp4,"two\nlines"\n,x\n', 4, "expected text in video, got ''"),
        ("c.csv", "video,caption,start,end\nb.mp4,x,soon,2\n", 2, "seconds from 0 in start, got 'soon'"),
        ("c.csv", "video,caption,start,end\nb.mp4,x,3,2\n", 2, "expected end after start"),
        ("c.jsonl", '{"video": "b.mp4", "caption": "x", "start": ' + "9" * 400 + "}", 1, "seconds from 0 in start"),
        ("c.jsonl", r'{"video": "b.mp4", "caption": "\ud83d"}', 1, "is not Unicode"),
        ("c.csv", "video,caption,caption\nb.mp4,x,y\n", 1, "the header names caption twice"),
        ("c.csv", "video,caption\n../b.mp4,x\n", 2, "expected a path below the folder"),
        ("c.jsonl", '{"video": "b.mp4", "caption": "x"}\n{"video"\n', 2, "malformed JSON"),
        ("c.jsonl", '{"video": "b.mp4"}\n', 1, "it has 'video', and no caption"),
        ("c.jsonl", '\n{"video": "b.mp4", "caption": ["x"]}\n', 2, "expected text in caption"),
        ("c.jsonl", '{"video": "b.mp4", "caption": "x", "start": true}\n', 1, "seconds from 0"),
        ("c.txt", "", None, "expected a .csv or .jsonl file"),
        ("none.csv", None, None, "no such file"),
    ],
)
def test_a_faulty_file_of_captions_is_named_with_its_line(
    folder: Path, tmp_path: Path, name: str, text: str | None, line: int | None, reason: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(AnnotationError, match=reason) as raised:
        built(folder, captions=str(file))
    assert (raised.value.file, raised.value.line) == (file, line)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize(("named", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_captions_name_a_file_by_its_letters_whatever_bytes_it_is_stored_under(
    folder: Path, named: str, stored: str
) -> None:
    name, file = (unicodedata.normalize(form, "Größe/Café.mp4") for form in (named, stored))
    (folder / file).parent.mkdir()
    (folder / file).write_bytes(b"")
    write_jsonl(folder / "captions.jsonl", {"video": name, "caption": "one"}, {"video": file, "caption": "two"})
    row = built(folder)[0]
    assert (row["video_id"], row["captions"]) == (file, ["one", "two"])
    assert row["video"]["path"] == str(folder / file)


def test_a_name_may_have_a_line_break(folder: Path) -> None:
    (folder / "two\nlines.mp4").write_bytes(b"")
    (folder / "captions.csv").write_text('video,caption\n"two\nlines.mp4",x\n')
    assert built(folder)[0]["video_id"] == "two\nlines.mp4"


def test_a_file_whose_name_is_not_utf8_is_named_and_hides_no_other(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"")
    assert len(built(folder)) == 3
    assert "caf\\udce9.mp4' is left out: its name is not UTF-8; rename it" in caplog.text


def test_a_time_that_is_not_a_number_is_none(folder: Path) -> None:
    (folder / "captions.csv").write_text("video,caption,start,end\nb.mp4,x,nan,2.5\nb.mp4,y,NaN,nan\n")
    assert [(row["captions"], row["start"], row["end"]) for row in built(folder)[:2]] == [
        (["x"], None, 2.5),
        (["y"], None, None),
    ]


def test_a_changed_folder_is_read_again(folder: Path) -> None:
    assert len(built(folder)) == 3
    (folder / "new.avi").write_bytes(b"")
    assert len(built(folder)) == 4
    write_jsonl(folder / "captions.jsonl", {"video": "new.avi", "caption": "x"})
    assert built(folder)[0]["captions"] == ["x"]


def test_links_to_a_folder_above_end(folder: Path) -> None:
    (folder / "deep" / "loop").symlink_to(folder)
    assert len(built(folder)) == 3


def test_missing_empty_and_ambiguous_folders_are_errors(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no video file under"):
        built(tmp_path / "empty")
    with pytest.raises(NotADirectoryError, match="no such folder of videos"):
        built(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="needs data_dir"):
        VideoFolder(cache_dir=str(tmp_path)).download_and_prepare()
    (folder / "captions.csv").write_text("video,caption\n")
    (folder / "captions.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"captions.jsonl and captions.csv; say which"):
        built(folder)


def test_streaming_and_several_processes_give_the_same_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = built(folder)
    monkeypatch.setattr("video_colbert.dataset_builders.video_folder.ROWS_PER_SHARD", 2)
    builder = VideoFolder(cache_dir=str(folder.parent / "other"), data_dir=str(folder))
    assert list(builder.as_streaming_dataset(split="train")) == expected
    builder.download_and_prepare(num_proc=2)
    assert builder.as_dataset(split="train").to_list() == expected
