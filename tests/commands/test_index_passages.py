"""`index --passages`, `--text-model` and `search --only`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.text.tiny_text_models import save_native, save_plain
from tests.video_files import write_clip
from video_colbert.cli import main
from video_colbert.commands.arguments.text_arguments import FUSION_NAMES, SOURCE_NAMES
from video_colbert.index.fusion.fusing import FUSION_METHODS
from video_colbert.index.passages.source_search import SEARCHED
from video_colbert.text.text_model import TextModel

NOTES = [
    {"id": "plants", "text": "The teacher explains how leaves make energy."},
    {"id": 7, "text": "Report number 1742\nof the year"},
    {"text": "The dog catches the ball at night."},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_native(tmp_path_factory.mktemp("model") / "native")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes.jsonl"
    file.write_text("\n".join(map(json.dumps, NOTES)) + "\n")
    return file


def found(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["search", "--json", *map(str, arguments)]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert isinstance(hits, list)
    return hits


@pytest.mark.parametrize("scheme", ["", "qdrant+local://"])
def test_a_plain_collection_is_indexed_and_searched(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scheme: str
) -> None:
    index = f"{scheme}{tmp_path}/index"
    assert main(["index", "--passages", str(notes), "--text-model", str(model), "--index", str(index)]) == 0
    assert capsys.readouterr().out == f"3 passages encoded; the index in {index} holds 3.\n"
    best = found(capsys, "leaves make energy", "--index", index)[0]
    assert best["video"] == "plants"
    assert {source["source"] for source in best["sources"]} == {"document", "keywords"}  # type: ignore[attr-defined]
    [number] = found(capsys, "1742", "--index", index, "--only", "keywords")
    assert number["video"] == "7"
    assert number["sources"][0]["text"] == "Report number 1742 of the year"  # type: ignore[index]
    [quoted] = found(capsys, '"ball at night"', "--index", index, "--only", "keywords")
    assert quoted["video"] == f"{notes}:3"


def test_texts_go_into_an_index_that_another_process_made_meanwhile(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = str(tmp_path / "index")
    command = ["index", "--text-model", str(model), "--index", index, "--passages"]
    assert main([*command, str(notes)]) == 0
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"text": "Rain in Iceland"}))
    looks = []

    def was_made_after_the_first_look(location: str) -> bool:
        looks.append(location)
        return len(looks) > 1

    monkeypatch.setattr("video_colbert.index.index_exists", was_made_after_the_first_look, raising=False)
    capsys.readouterr()
    assert main([*command, str(other)]) == 0
    assert capsys.readouterr().out == f"1 passage encoded; the index in {index} holds 4.\n"
    assert looks == [index, index]


def test_files_of_one_name_are_told_apart_by_their_folders(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / folder / "notes.jsonl" for folder in ("first", "second")]
    for file in files:
        file.parent.mkdir()
        file.write_text(json.dumps({"text": f"leaves of the {file.parent.name}"}))
    index = str(tmp_path / "index")
    command = ["index", "--text-model", str(model), "--index", index]
    assert main([*command, "--passages", *map(str, files)]) == 0
    assert capsys.readouterr().out == f"2 passages encoded; the index in {index} holds 2.\n"
    # One of them alone, by another spelling of its path, is what is there already.
    assert main([*command, "--passages", str(files[0].parent / ".." / "second" / "notes.jsonl")]) == 0
    assert "Nothing is new" in capsys.readouterr().out
    hits = found(capsys, "leaves", "--index", index, "--only", "keywords")
    assert {hit["video"] for hit in hits} == {f"{file}:1" for file in files}


def test_info_tells_of_the_passages(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = str(tmp_path / "index")
    assert main(["index", "--passages", str(notes), "--text-model", str(model), "--index", index]) == 0
    capsys.readouterr()
    assert main(["info", "--index", index]) == 0
    table = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert table["passages"].strip() == "3"
    assert table["text model"].strip().startswith(f"{model} at revision ")


def test_texts_are_shown_as_texts(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, page = str(tmp_path / "index"), tmp_path / "page.html"
    assert main(["index", "--passages", str(notes), "--text-model", str(model), "--index", index]) == 0
    capsys.readouterr()
    assert main(["search", "1742", "--index", index, "--only", "keywords", "--html", str(page)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(" 1. 7  score ")
    assert second == "    keywords in document  Report number *1742* of the year"
    shown = page.read_text()
    assert "Report number <mark>1742</mark> of the year" in shown
    assert "<video" not in shown
    assert str(model) in shown


def test_a_changed_collection_is_brought_up_to_date(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = str(tmp_path / "index")
    command = ["index", "--passages", str(notes), "--index", index]
    assert main([*command, "--text-model", str(model)]) == 0
    assert main(command) == 0
    assert "Nothing is new" in capsys.readouterr().out
    notes.write_text("\n".join(map(json.dumps, [NOTES[0], {"id": 7, "text": "Report number 1743"}])))
    assert main([*command, "--prune"]) == 0
    assert "1 passage encoded, 2 removed; " in capsys.readouterr().out
    assert found(capsys, "1742 night", "--index", index, "--only", "keywords") == []
    for name in ("remove", "forget"):
        assert main([name, "plants", "--index", index]) == 1
        assert (
            "plants: a text of a collection, not a video; `index --passages FILE --prune`" in capsys.readouterr().err
        )


def test_another_text_model_encodes_all_anew(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = str(tmp_path / "index")
    command = ["index", "--passages", str(notes), "--index", index, "--text-model"]
    assert main([*command, str(model)]) == 0
    assert main([*command, str(save_plain(tmp_path / "plain"))]) == 0
    assert "3 passages encoded; " in capsys.readouterr().out
    assert len(found(capsys, "leaves", "--index", index, "--only", "document")) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1 is no JSON"),
        ("[1]", 'line 1 must be an object with "text"'),
        ('{"text": " "}', '"text" is empty'),
        ('{"id": "a", "text": "b"}\n\n{"id": "a", "text": "c"}', "line 3: there is another text with the id 'a'"),
        ('{"id": "\\ud800", "text": "b"}', '"id" holds a letter that cannot be printed'),
        ('{"id": 1.5, "text": "b"}', '"id" must be a text or a whole number, got 1.5'),
    ],
)
def test_a_bad_collection_is_one_clear_error(
    content: str, message: str, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text(content)
    index = tmp_path / "index"
    assert main(["index", "--passages", str(file), "--text-model", str(model), "--index", str(index)]) == 1
    assert message in capsys.readouterr().err
    assert not index.exists()


def test_what_does_not_go_together_is_refused(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = str(tmp_path / "index")
    assert main(["index", "--passages", str(notes), "--index", index]) == 1
    assert "--passages needs a --text-model" in capsys.readouterr().err
    videos = [str(tmp_path), "--metadata", "about.csv", "--screen-text", "--windows", "20"]
    assert main(["index", *videos, "--passages", str(notes), "--index", index]) == 1
    told = capsys.readouterr().err
    assert "with which VIDEO, --metadata, --windows, --screen-text has no meaning" in told
    assert main(["index", "--passages", str(notes), "--index", index, "--text-model", str(model)]) == 0
    assert main(["search", "red", "--index", index, "--only", "speech"]) == 1
    assert "holds nothing of the source speech; it holds document, keywords" in capsys.readouterr().err
    assert main(["search", "red", "--index", index, "--level-weights", "frame=1"]) == 1
    assert "--level-weights are of pictures, which are not asked" in capsys.readouterr().err


def test_subtitles_are_read_encoded_and_found_with_their_times_and_encoded_again_without_being_read(
    model: Path, checkpoint_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, text in enumerate(("How leaves make energy", "The dog catches the ball")):
        film = write_clip(tmp_path / "videos" / f"{number}.mp4", number)
        film.with_suffix(".srt").write_text(f"1\n00:00:00,500 --> 00:00:01,500\n{text}\n")
    index = str(tmp_path / "index")
    command = ["index", str(tmp_path / "videos"), "--index", index, "--model", str(checkpoint_folder)]
    assert main([*command, "--subtitles", "--text-model", str(model)]) == 0
    assert "2 passages encoded; " in capsys.readouterr().out
    best = found(capsys, "leaves make energy", "--index", index, "--only", "subtitles")[0]
    assert Path(str(best["video"])).name == "0.mp4"
    assert (best["start"], best["end"]) == (0.5, 1.5)
    everything = found(capsys, "leaves make energy", "--index", index)
    assert {source["source"] for hit in everything for source in hit["sources"]} == {  # type: ignore[attr-defined]
        "video",
        "subtitles",
        "keywords",
    }
    for file in (tmp_path / "videos").glob("*.srt"):
        file.unlink()
    assert main([*command, "--text-model", str(save_plain(tmp_path / "plain"))]) == 0
    assert "2 passages encoded; " in capsys.readouterr().out
    assert len(found(capsys, "leaves make energy", "--index", index, "--only", "subtitles")) == 2


def test_texts_without_a_text_model_are_said_to_be_kept_for_later(
    checkpoint_folder: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    film = write_clip(tmp_path / "a.mp4", 0)
    film.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nleaves\n")
    index = ("index", film, "--index", tmp_path / "index", "--model", checkpoint_folder, "--subtitles")
    code, _, told = run_command(*index)
    assert code == 0
    assert "1 passages are kept, and not searched until a --text-model is named." in told
    code, _, told = run_command("search", "red", "--index", tmp_path / "index", "--only", "subtitles")
    assert code == 1
    assert "holds nothing of the source subtitles that is encoded; name a --text-model to `index`" in told


def test_what_cannot_be_kept_or_found_is_refused_before_videos_are_encoded(
    model: Path, checkpoint_folder: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    film, index = write_clip(tmp_path / "a.mp4", 0), tmp_path / "index"
    (tmp_path / "about.csv").write_text("video,title\na.mp4,On leaves\n")
    command = ("index", film, "--model", checkpoint_folder, "--metadata", tmp_path / "about.csv")
    code, _, told = run_command(*command, "--index", index, "--description", "titel")
    assert code == 1
    assert "--description names the column 'titel', which the metadata does not have; there are title" in told
    code, _, told = run_command(*command, "--index", index, "--text-model", tmp_path)
    assert code == 1
    assert "holds no weights" in told
    assert not index.exists()


def test_a_file_that_is_there_under_another_name_is_read_there(
    model: Path, checkpoint_folder: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    film = write_clip(tmp_path / "a.mp4", 0)
    film.with_suffix(".srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nleaves\n")
    index = ("--index", tmp_path / "index", "--model", checkpoint_folder)
    assert run_command("index", film, *index)[0] == 0
    copy = tmp_path / "b.mp4"
    copy.write_bytes(film.read_bytes())
    _, out, _ = run_command("index", copy, *index, "--subtitles", "--text-model", model)
    assert "1 of the same content as another, 1 read for subtitles" in out


def test_ends_of_texts_and_queries_that_are_cut_are_told(model: Path, tmp_path: Path, run_command: RunCommand) -> None:
    notes = tmp_path / "notes.jsonl"
    # With the mark that some editors write.
    notes.write_text(json.dumps({"text": "red leaves " * 60 + "1742"}), encoding="utf-8-sig")
    index = ("--index", tmp_path / "index")
    _, _, told = run_command("index", "--passages", notes, "--text-model", model, *index)
    assert "1 of the passages are longer than the text model takes; what follows is found by keywords only" in told
    code, out, told = run_command("search", "1742", *index, "--only", "keywords", "--paths-only")
    assert (code, out) == (0, f"{notes}:1\n")
    assert "is empty" not in told
    _, _, told = run_command("search", "red leaves " * 60, *index)
    assert "The query is longer than the text model takes; its end was cut off." in told


def test_a_search_loads_the_text_model_on_the_device_that_is_named(
    notes: Path, model: Path, tmp_path: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ("--index", tmp_path / "index")
    # Of several devices, on which videos would be encoded, the first.
    command = ("index", "--passages", notes, "--text-model", model, *index, "--device", "cpu,cpu")
    assert run_command(*command)[0] == 0
    load, devices = TextModel.from_pretrained, []

    def loaded(name: str, *, revision: str | None = None, device: str | None = None) -> TextModel:
        devices.append(device)
        return load(name, revision=revision, device=device)

    monkeypatch.setattr(TextModel, "from_pretrained", loaded)
    assert run_command("search", "leaves", *index, "--device", "cpu")[0] == 0
    assert devices == ["cpu"]


def test_an_index_of_texts_takes_no_videos(
    notes: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = str(tmp_path / "index")
    assert main(["index", "--passages", str(notes), "--index", index, "--text-model", str(model)]) == 0
    assert main(["index", str(write_clip(tmp_path / "a.mp4", 0)), "--index", index]) == 1
    assert "holds texts only and takes no videos; choose another index" in capsys.readouterr().err


def test_names_on_the_command_line_are_those_of_the_library() -> None:
    assert set(SOURCE_NAMES) == set(SEARCHED)
    # What is learned needs parameters, which a command does not take.
    assert FUSION_NAMES == FUSION_METHODS
