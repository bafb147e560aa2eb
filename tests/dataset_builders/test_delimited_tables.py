import csv
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from video_colbert.dataset_builders.annotation_files import AnnotationError
from video_colbert.dataset_builders.delimited_tables import parse_csv, read_csv


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def failing_line(call: Callable[[], object], reason: str) -> int | None:
    with pytest.raises(AnnotationError, match=reason) as raised:
        call()
    assert str(raised.value).startswith(str(raised.value.file))
    return raised.value.line


def rows(text: str, *columns: str) -> list[dict[str, str]]:
    return [row for _, row in parse_csv(text, "table.csv", columns)]


def test_csv_takes_a_byte_order_mark_quotes_and_line_breaks_in_fields(file: Path) -> None:
    file.write_bytes('\ufeffid,text\r\n1,"one, ""two""\nthree"\r\n2,four\r\n'.encode())
    assert list(read_csv(file, ("id", "text"))) == [
        (2, {"id": "1", "text": 'one, "two"\nthree'}),
        (4, {"id": "2", "text": "four"}),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("id,name\n", 1, "it has 'id', 'name', and no text"),
        ("", 1, "it has nothing, and no id, text"),
        ("id,text\n1,a\n2\n", 3, "expected 2 cells"),
        ("id,text\n1,a,b\n", 2, "expected 2 cells"),
        ('id,text\n1,"a\n', 2, "malformed CSV"),
    ],
)
def test_a_faulty_csv_names_the_line(file: Path, text: str, line: int, reason: str) -> None:
    file.write_text(text)
    assert failing_line(lambda: list(read_csv(file, ("id", "text"))), reason) == line


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_are_separated_by_what_the_header_is(separator: str, quoting: Literal[0, 1]) -> None:
    text = io.StringIO()
    expected = [{"video": "a.mp4", "note": "one, two; three\tfour"}, {"video": "b.mp4", "note": "2,5"}]
    writer = csv.DictWriter(text, ["video", "note"], delimiter=separator, quoting=quoting)
    writer.writeheader()
    writer.writerows(expected)
    assert rows(text.getvalue(), "video") == expected
    assert rows(f"sep={separator}\r\n{text.getvalue()}", "video") == expected


def test_the_separator_is_the_one_that_gives_the_columns_asked_for() -> None:
    assert rows("video,a;b;c\nx.mp4,1\n", "video") == [{"video": "x.mp4", "a;b;c": "1"}]
    assert rows("a,b,c;video\n1,2,3;x.mp4\n", "video") == [{"a,b,c": "1,2,3", "video": "x.mp4"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_spaces_after_commas_and_lines_without_text_are_passed_over(end: str) -> None:
    text = end.join(["", "video , upload date", "a.mp4, 2020", ",", "", " , ", '"b.mp4", " x "', ""])
    assert rows(text, "video") == [
        {"video": "a.mp4", "upload date": "2020"},
        {"video": "b.mp4", "upload date": " x "},
    ]


def test_a_column_without_a_name_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    assert rows(",video\n0,a.mp4\n1,b.mp4\n", "video") == [{"video": "a.mp4"}, {"video": "b.mp4"}]
    assert caplog.messages == ["table.csv: column 1 has no name in the header and is left out"]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert rows("video,,\na.mp4,,\n", "video") == [{"video": "a.mp4"}]
    assert caplog.messages == []


def test_a_cell_may_be_longer_than_the_csv_module_allows_by_default() -> None:
    limit = csv.field_size_limit()
    text = "word " * 40_000
    assert rows(f"video,transcript\na.mp4,{text}\n", "video") == [{"video": "a.mp4", "transcript": text}]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,year\na.mp4,1\n", "expected a header with video; it has 'file', 'year', and no video"),
        ("file;year\na.mp4;1\n", "it has 'file', 'year', and no video"),
        ("Video\na.mp4\n", "it has 'Video', and no video"),
        ("video,tag, tag\na.mp4,x,y\n", "the header names tag twice"),
        ("video,video\na.mp4,b.mp4\n", "the header names video twice"),
    ],
)
def test_a_header_that_does_not_say_what_is_what_is_refused(text: str, reason: str) -> None:
    assert failing_line(lambda: rows(text, "video"), reason) == 1
