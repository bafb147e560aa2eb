from pathlib import Path

import pytest

from video_colbert.dataset_builders.annotation_files import (
    AnnotationError,
    read_json,
    read_jsonl,
    read_list,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "annotations"


def failing_line(call: object, reason: str) -> int | None:
    with pytest.raises(AnnotationError, match=reason) as raised:
        call()  # type: ignore[operator]
    assert str(raised.value).startswith(str(raised.value.file))
    return raised.value.line


def test_a_list_is_one_name_a_line(file: Path) -> None:
    file.write_text("b\r\na\r\n\r\n")
    assert read_list(file) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [("a\n\nb\n", 2, "one name a line, got ''"), ("a\nb c\n", 2, "got 'b c'"), ("a\nb\na\n", 3, "given in line 1")],
)
def test_a_faulty_list_names_the_line(file: Path, text: str, line: int, reason: str) -> None:
    file.write_text(text)
    assert failing_line(lambda: read_list(file), reason) == line


def test_faulty_json_names_the_line_and_what_was_expected(file: Path) -> None:
    file.write_text('{"a": 1,\n"b": }\n')
    assert failing_line(lambda: read_json(file, dict, "an object of ids"), "expected an object of ids") == 2
    file.write_text("[]")
    assert failing_line(lambda: read_json(file, dict, "an object of ids"), "got a list") is None


def test_faulty_jsonl_names_the_line(file: Path) -> None:
    file.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert list(read_jsonl(file, ("a",))) == [(1, {"a": 1}), (3, {"a": 2})]
    for text, reason in (
        ('{"a": 1}\n{"b": 2}\n', "expected an object with a; it has 'b', and no a"),
        ('{"a": 1}\n[\n', "malformed JSON"),
        ("\n3\n", "expected an object, got a int"),
        ('\n{"a": 1, "b": 2, "a": 3}', "expected each key once; 'a' is given twice"),
    ):
        file.write_text(text)
        assert failing_line(lambda: list(read_jsonl(file, ("a",))), reason) == 2


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[" * 200_000 + "]" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000 + "1" + "}" * 200_000, "nested too deeply"),
        ("1" * 5000, "a number has thousands of digits"),
        (r'"\ud83d"', r"text with \\ud83d, half of a character, is not Unicode"),
        (r'{"\udc00": 1}', r"text with \\udc00, half of a character"),
    ],
    ids=["lists", "objects", "digits", "surrogate", "surrogate key"],
)
def test_json_that_python_cannot_hold_is_refused_in_a_sentence(file: Path, value: str, reason: str) -> None:
    file.write_text(f"[{value}]")
    assert failing_line(lambda: read_json(file, list, "a list"), reason) is None
    file.write_text(f'{{"a": 1}}\n{{"a": {value}}}\n')
    assert failing_line(lambda: list(read_jsonl(file, ("a",))), reason) == 2


def test_a_character_of_two_escapes_and_an_escaped_backslash_are_text(file: Path) -> None:
    file.write_text(r'{"a": "\ud83d\ude00", "b": "\\ud83d"}')
    assert list(read_jsonl(file, ("a",))) == [(1, {"a": "\N{GRINNING FACE}", "b": r"\ud83d"})]


def test_text_that_is_not_utf8_or_not_there_is_an_error(file: Path) -> None:
    assert failing_line(lambda: read_list(file), "no such file") is None
    file.write_bytes(b"a\nb\n\xff\n")
    assert failing_line(lambda: read_list(file), "not UTF-8") == 3
