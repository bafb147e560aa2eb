from pathlib import Path

import pysubs2
import pytest

from tests.text.made_media import write_media
from video_colbert.text.passages import Passage
from video_colbert.text.subtitles import SubtitleReader

SRT = "1\n00:00:00,500 --> 00:00:01,000\nLeaves make\n\n2\n00:00:01,000 --> 00:00:02,000\n<i>sugar</i>.\n"
VTT = "WEBVTT\n\n00:00.500 --> 00:01.000\nLeaves make\n\n00:01.000 --> 00:02.000\n<c.green>sugar</c>.\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\b1}sugar{\\b0}.\n"
    "Dialogue: 0,0:00:00.50,0:00:01.00,Default,,0,0,0,,Leaves make\n"
    "Dialogue: 0,0:00:00.50,0:00:01.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}\n"
    "Comment: 0,0:00:00.50,0:00:01.00,Default,,0,0,0,,a note\n"
)


def read(video: Path, language: str | None = None) -> list[Passage]:
    found = SubtitleReader(language).read(str(video))
    assert found.problem is None
    return list(found.passages)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_media(tmp_path / "talk.mp4")


@pytest.mark.parametrize(("suffix", "content"), [("srt", SRT), ("vtt", VTT), ("ass", ASS), ("SRT", SRT)])
def test_a_file_beside_the_video_is_read(video: Path, suffix: str, content: str) -> None:
    video.with_suffix(f".{suffix}").write_text(content)
    (passage,) = read(video)
    assert (passage.source, passage.text, passage.start, passage.end) == ("subtitles", "Leaves make sugar.", 0.5, 2.0)
    assert [(word.text, word.start) for word in passage.words] == [
        ("Leaves", 0.5),
        ("make", pytest.approx(0.8)),
        ("sugar.", 1.0),
    ]


def test_a_video_without_subtitles_has_no_passages(video: Path) -> None:
    (video.parent / "talkative.srt").write_text(SRT)
    assert read(video) == []


def test_the_language_asked_for_is_read(video: Path) -> None:
    for name, text in {"talk.srt": "untagged", "talk.de.srt": "deutsch", "talk.eng.srt": "english"}.items():
        (video.parent / name).write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n")
    assert [passage.text for passage in read(video)] == ["untagged"]
    assert [passage.text for passage in read(video, "en")] == ["english"]
    assert [passage.text for passage in read(video, "ger")] == ["deutsch"]
    assert [passage.text for passage in read(video, "fr")] == ["untagged"]


def test_a_file_of_another_video_whose_name_begins_alike_is_not_read(video: Path) -> None:
    second = write_media(video.with_name("talk.part2.mp4"))
    second.with_suffix(".en.srt").write_text(SRT)
    assert read(video) == read(video, "en") == []
    assert [passage.text for passage in read(second)] == ["Leaves make sugar."]


def test_whole_subtitles_come_before_forced_ones(video: Path) -> None:
    for name in ("talk.en.forced.srt", "talk.en.srt"):
        (video.parent / name).write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{name}\n")
    assert [passage.text for passage in read(video)] == ["talk.en.srt"]
    (video.parent / "talk.en.srt").unlink()
    assert [passage.text for passage in read(video)] == ["talk.en.forced.srt"]


def test_streams_inside_are_read_by_language(tmp_path: Path) -> None:
    cues = {"eng": [(0.5, 1.0, "Leaves make"), (1.0, 1.5, "<i>sugar</i>.")], "ger": [(0.5, 1.5, "Zucker")]}
    film = write_media(tmp_path / "film.mkv", subtitles=cues)
    (english,) = read(film, "en")
    assert (english.text, english.start, english.end) == ("Leaves make sugar.", 0.5, 1.5)
    assert [passage.text for passage in read(film, "de")] == ["Zucker"]
    assert read(film, "fr") == []
    assert [passage.text for passage in read(film)] == ["Leaves make sugar."]


def test_lines_that_live_captions_show_again_are_taken_once(video: Path) -> None:
    cues = ["one two", "one two\nthree four", "three four\nfive six"]
    video.with_suffix(".vtt").write_text(
        "WEBVTT\n\n"
        + "\n\n".join(f"00:0{number}.000 --> 00:0{number + 1}.000\n{text}" for number, text in enumerate(cues))
    )
    assert [passage.text for passage in read(video)] == ["one two three four five six"]


def test_a_chorus_that_comes_again_later_is_kept(video: Path) -> None:
    lines = "1\n00:00:00,000 --> 00:00:01,000\nla la\n\n2\n00:00:20,000 --> 00:00:21,000\nla la\n"
    video.with_suffix(".srt").write_text(lines)
    assert [passage.start for passage in read(video)] == [0.0, 20.0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_read_with_and_without_its_mark(video: Path, encoding: str) -> None:
    video.with_suffix(".srt").write_bytes("1\n00:00:00,000 --> 00:00:01,000\nZürich 東京\n".encode(encoding))
    assert [passage.text for passage in read(video)] == ["Zürich 東京"]


def test_an_older_encoding_is_read_and_said(video: Path) -> None:
    video.with_suffix(".srt").write_bytes("1\n00:00:00,000 --> 00:00:01,000\nZürich\n".encode("cp1252"))
    found = SubtitleReader().read(str(video))
    assert [passage.text for passage in found.passages] == ["Zürich"]
    assert found.problem == "talk.srt beside it is not UTF-8 and was read as Windows-1252"


@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".ass", ".ssa"])
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"\x81\x8d\x8f" * 50, b"\x00" * 100, b"", b"[Events]\nDialogue: x"]
)
def test_a_damaged_file_is_a_problem_or_nothing_and_never_an_exception(
    video: Path, suffix: str, content: bytes
) -> None:
    video.with_suffix(suffix).write_bytes(content)
    found = SubtitleReader().read(str(video))
    assert not found.passages
    assert found.problem is None or f"talk{suffix}" in found.problem


def test_a_file_that_is_no_video_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    found = SubtitleReader().read(str(tmp_path / "notes.mp4"))
    assert not found.passages
    assert found.problem is not None
    assert "not a video file" in found.problem


def test_a_language_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="language is 'the first one'; it must be a code such as 'en'"):
        SubtitleReader("the first one")


@pytest.mark.parametrize(
    "text",
    [
        "<i>a</i> <b>b</b> < u >c</ u > <s>d</s>",
        '<font color="#fff">red</font> 1 < 2 and 3 > 2',
        "<v Ann>I say</v> {\\an8}above",
        "two\nlines<br>in one",
        "{\\p1}m 0 0 l 9 9{\\p0}",
    ],
)
@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
def test_markup_goes_as_it_does_where_pysubs2_takes_it_out(video: Path, text: str, suffix: str) -> None:
    comma, head = (",", "") if suffix == ".srt" else (".", "WEBVTT\n\n")
    content = f"{head}1\n00:00:01{comma}000 --> 00:00:02{comma}000\n{text}\n"
    video.with_suffix(suffix).write_text(content)
    [event] = pysubs2.SSAFile.from_string(content, format_=suffix[1:])
    shown = "" if event.is_drawing else " ".join(event.plaintext.split())
    assert "".join(passage.text for passage in SubtitleReader().read(str(video)).passages) == shown
