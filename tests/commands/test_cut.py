from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import RunCommand
from tests.excerpts.made_media import number_of, write_media
from video_colbert import VideoColBERTEncoder, open_index
from video_colbert.commands.cut_files import free_file
from video_colbert.errors import ExcerptError
from video_colbert.processing import decode_video


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, checkpoint_folder: Path) -> Path:
    """A folder with an index of three videos, of which one is no container of copies."""
    folder = tmp_path_factory.mktemp("place")
    videos = [write_media(folder / "videos" / "a.mp4"), write_media(folder / "videos" / "b.mkv", sound=None)]
    videos.append(write_media(folder / "videos" / "c.avi", codec="mpeg4", sound="mp2", frames=25))
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    open_index(folder / "index", encoder).add(videos)
    return folder


def cut(run_command: RunCommand, place: Path, out: Path, *options: str, code: int = 0) -> dict[str, Any]:
    found, text, err = run_command("cut", "a red circle", "--index", place / "index", "--out", out, "--json", *options)
    assert found == code, err
    answer: dict[str, Any] = json.loads(text)
    return answer


def test_the_matched_range_of_each_hit_is_written_and_its_real_times_are_said(
    run_command: RunCommand, place: Path, tmp_path: Path, checkpoint_folder: Path
) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    hits = open_index(place / "index", encoder).search("a red circle", top_k=3)
    answer = cut(run_command, place, tmp_path, "--exact", "--pad", "0.1")
    assert (answer["query"], answer["failed"], len(answer["files"])) == ("a red circle", [], 3)
    for hit, file in zip(hits, answer["files"], strict=True):
        start, end = hit.matched_range
        [stretch] = file["stretches"]
        assert stretch["video"] == hit.video
        assert stretch["start"] == pytest.approx(max(0.0, start - 0.1), abs=1e-3)
        assert stretch["end"] == pytest.approx(min(end + 0.1, hit.end), abs=1e-3)
        times = decode_video(hit.video).timestamps
        first = max(number for number, time in enumerate(times) if time <= stretch["start"] + 1e-3)
        frames = [number_of(frame) for frame in decode_video(file["file"]).frames]
        assert frames == list(range(first, first + len(frames)))
        assert len(frames) == pytest.approx((stretch["end"] - stretch["start"]) * 10, abs=1.5)
    copied = cut(run_command, place, tmp_path)["files"]
    kinds = {Path(each["stretches"][0]["video"]).name: (each["copied"], each["reason"]) for each in copied}
    reason = "packets of the container avi are not copied"
    assert kinds == {"a.mp4": (True, None), "b.mkv": (True, None), "c.avi": (False, reason)}


def test_nothing_is_written_over_and_all_are_joined(run_command: RunCommand, place: Path, tmp_path: Path) -> None:
    first = cut(run_command, place, tmp_path, "--top-k", "1")["files"][0]
    content = Path(first["file"]).read_bytes()
    again = cut(run_command, place, tmp_path, "--top-k", "1")["files"][0]
    assert Path(again["file"]).name == f"{Path(first['file']).stem}_2{Path(first['file']).suffix}"
    assert Path(first["file"]).read_bytes() == content
    answer = cut(run_command, place, tmp_path, "--join")
    [joined] = answer["files"]
    assert len(joined["stretches"]) == 3
    assert Path(joined["file"]) == tmp_path / "joined.mp4"
    seconds = sum(each["end"] - each["start"] for each in joined["stretches"])
    assert decode_video(joined["file"]).duration == pytest.approx(seconds, abs=0.1)


def test_a_file_that_is_gone_or_bad_is_told_and_stops_nothing(
    run_command: RunCommand, tmp_path: Path, checkpoint_folder: Path
) -> None:
    videos = [
        write_media(tmp_path / f"{name}.mp4", sound=None, frames=20 + number) for number, name in enumerate("abc")
    ]
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    open_index(tmp_path / "index", encoder).add(videos)
    videos[0].unlink()
    videos[1].write_bytes(b"no film" * 99)
    for options in ((), ("--join",)):
        answer = cut(run_command, tmp_path, tmp_path / "out", *options, code=3)
        assert {Path(each["video"]).name for each in answer["failed"]} == {"a.mp4", "b.mp4"}
        assert [Path(each["stretches"][0]["video"]).name for each in answer["files"]] == ["c.mp4"]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_text_says_the_file_the_video_and_the_times(run_command: RunCommand, place: Path, tmp_path: Path) -> None:
    arguments = ("cut", "a", "red", "circle", "--index", place / "index", "--out", tmp_path, "--top-k", "1")
    code, out, _ = run_command(*arguments)
    [line] = out.splitlines()
    [file] = tmp_path.iterdir()
    assert code == 0
    assert line.startswith(f"{file}  ")
    assert line.endswith(("copied", "encoded again"))
    code, out, err = run_command("cut", "--index", place / "index", "--out", tmp_path)
    assert (code, out) == (1, "")
    assert "say what to look for: TEXT, --image FILE or --clip FILE" in err


def test_a_name_is_free_until_it_is_written_and_after_an_error_again(tmp_path: Path) -> None:
    with free_file(tmp_path, 'a/b:"c"\n', ".mp4") as first, free_file(tmp_path, 'a/b:"c"\n', ".mp4") as second:
        assert [first.name, second.name] == ["a_b__c__.mp4", "a_b__c___2.mp4"]
    with pytest.raises(KeyError), free_file(tmp_path, "x", ".mp4"):
        raise KeyError
    assert not (tmp_path / "x.mp4").exists()
    with free_file(tmp_path, "ü" * 300, ".mp4") as long:
        assert len(long.name.encode()) <= 255
    (tmp_path / "file").write_text("")
    with pytest.raises(ExcerptError, match="file: cannot be written: "), free_file(tmp_path / "file", "x", ".mp4"):
        pass
