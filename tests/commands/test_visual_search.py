from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder, VisualQuery, open_index
from video_colbert.commands.arguments.visual_arguments import parse_clip
from video_colbert.encoding.encoded import VideoClip
from video_colbert.encoding.visual_query.picture_files import read_picture
from video_colbert.errors import EncodingError
from video_colbert.processing import decode_video


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, checkpoint_folder: Path) -> Path:
    """A folder of an index, its videos, and a picture of one of them."""
    folder = tmp_path_factory.mktemp("place")
    for seed in range(9):
        write_clip(folder / "videos" / f"{seed}.mp4", seed, frames=12 + seed)
    Image.fromarray(decode_video(folder / "videos" / "4.mp4").frames[7]).save(folder / "photo.png")
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    open_index(folder / "index", encoder).add([folder / "videos"])
    return folder


def search(run_command: RunCommand, place: Path, *arguments: str | Path) -> dict[str, Any]:
    code, out, err = run_command("search", *arguments, "--index", place / "index", "--json")
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_a_picture_and_a_clip_find_what_the_library_finds(
    run_command: RunCommand, place: Path, checkpoint_folder: Path
) -> None:
    index = open_index(place / "index", VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu"))
    picture, clip = place / "photo.png", place / "videos" / "6.mp4"
    image = read_picture(picture)
    for arguments, query in (
        (["--image", picture], VisualQuery(image=image, name=str(picture))),
        (["--clip", f"{clip}@1-2.5"], VisualQuery(clip=VideoClip(str(clip), 1.0, 2.5))),
        (
            ["a", "red", "circle", "--image", picture, "--text-weight", "0.2"],
            VisualQuery(image=image, name=str(picture), text="a red circle", text_weight=0.2),
        ),
    ):
        answer = search(run_command, place, *arguments)
        assert answer == json.loads(json.dumps(index.search(query).as_dict()))
    assert answer["query"] == f"a red circle + {picture}"
    assert [moment["word"] for moment in answer["hits"][0]["moments"]] == ["a", "red", "circle", ""]


def test_text_shows_the_matching_time_without_a_word(run_command: RunCommand, place: Path) -> None:
    arguments = ("search", "--image", place / "photo.png", "--index", place / "index", "--top-k", "1")
    code, out, _ = run_command(*arguments)
    *first, last = out.splitlines()
    assert (code, Path(first[0].split()[1]).name) == (0, "4.mp4")
    stretch, time = last.split()
    assert stretch.count(":") == 2
    assert time.startswith("0:0")
    page = place / "page.html"
    code, _, _ = run_command(*arguments, "--html", page)
    assert code == 0
    assert f">{time}</button>" in page.read_text()


def test_folders_are_searched_by_picture_the_second_time_too(
    run_command: RunCommand, place: Path, checkpoint_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(place / "videos", tmp_path / "videos")
    for _ in range(2):
        arguments = ("--in", tmp_path / "videos", "--model", checkpoint_folder, "--paths-only")
        code, out, err = run_command("search", "--image", place / "photo.png", *arguments)
        assert code == 0, err
        assert Path(out.splitlines()[0]).name == "4.mp4"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "photo.png", "--clip", "videos/1.mp4"], "--image and --clip are two queries; give one of them"),
        (["--image", "none.png"], "--image none.png: cannot be read: No such file or directory"),
        (["--image", "videos/1.mp4"], "--image videos/1.mp4: is no picture (JPEG, PNG, "),
        (["--clip", "none.mp4"], "--clip none.mp4: there is no such file"),
        (["--clip", "none.mp4@1-2"], "--clip none.mp4: there is no such file"),
        (["--clip", "videos/1.mp4@2-1"], "--clip videos/1.mp4@2-1: the stretch ends before it starts"),
        (
            ["--clip", "videos/1.mp4@-2--1"],
            "--clip videos/1.mp4@-2--1: no such file, and what follows @ is no stretch",
        ),
        (["--clip", "videos/1.mp4@90-"], "videos/1.mp4 [90 s to the end]: no frame appears from 90 s to the end"),
        (["--clip", "photo.txt"], "photo.txt: "),
        (["red", "--text-weight", "0.5"], "--text-weight weighs TEXT against --image or --clip; give one, or"),
        (["--image", "photo.png", "--text-weight", "0.5"], "--text-weight weighs TEXT, and there is none"),
        (["--image", "photo.png", "--only", "speech"], "the index in index holds nothing of the source speech"),
        (
            ["--image", "photo.png", "--level-weights", "video=1"],
            "--level-weights names 'video'; the model scores by ",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    run_command: RunCommand, place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(place)
    Path("photo.txt").write_text("no film\n" * 99)
    code, out, err = run_command("search", *arguments, "--index", "index")
    assert (code, out) == (1, "")
    assert err.strip().splitlines()[-1].startswith(f"video-colbert: {message}"), err


@pytest.mark.parametrize("weight", ["-0.1", "1.5", "nan", "much"])
def test_a_weight_out_of_range_is_refused(
    run_command: RunCommand, place: Path, weight: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_command(
            "search", "red", "--image", place / "photo.png", "--index", place / "index", "--text-weight", weight
        )
    assert f"argument --text-weight: '{weight}' is not a number from 0 to 1" in capsys.readouterr().err


def test_stretches_are_read_in_seconds_and_minutes_and_a_file_of_that_name_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b@1-2", "c@d.mp4"):
        Path(name).write_bytes(b"x")
    assert parse_clip("a.mp4") == VideoClip("a.mp4")
    assert parse_clip("a.mp4@12-15.5") == VideoClip("a.mp4", 12.0, 15.5)
    assert parse_clip("a.mp4@1:05-") == VideoClip("a.mp4", 65.0, None)
    assert parse_clip("a.mp4@-1:00:10") == VideoClip("a.mp4", None, 3610.0)
    assert parse_clip("b@1-2") == VideoClip("b@1-2")
    assert parse_clip("b@1-2@3-4") == VideoClip("b@1-2", 3.0, 4.0)
    assert parse_clip("c@d.mp4") == VideoClip("c@d.mp4")
    assert parse_clip("https://a.org/b.mp4@2-3") == VideoClip("https://a.org/b.mp4", 2.0, 3.0)
    with pytest.raises(EncodingError, match="no such file, and what follows @ is no stretch"):
        parse_clip("a.mp4@later")
