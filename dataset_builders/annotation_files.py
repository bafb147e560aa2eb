"""Reads annotation files: every error names the file, the line and what was expected there."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

# An escape that is half a character; two of them may make a whole one.
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class AnnotationError(ValueError):
    """An annotation file that is not what its format says.

    Attributes:
        file: The file.
        line: The line, counted from 1, or None where lines mean nothing.
        reason: What is wrong and what was expected.
    """

    def __init__(self, file: str | Path, reason: str, line: int | None = None) -> None:
        self.file = Path(file)
        self.line = line
        self.reason = reason
        where = f"{file}, line {line}" if line is not None else str(file)
        super().__init__(f"{where}: {reason}")


def read_text(file: str | Path) -> str:
    """Reads a UTF-8 file, with or without a byte-order mark.

    Raises:
        AnnotationError: There is no such file, or it cannot be read or is not UTF-8.
    """
    try:
        content = Path(file).read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise AnnotationError(file, "no such file") from error
    except OSError as error:
        raise AnnotationError(file, f"cannot be read ({error.strerror})") from error
    return decode_text(content, file)


def decode_text(content: bytes, file: str | Path) -> str:
    """Decodes the content of a text file, UTF-8 with or without a byte-order mark.

    Args:
        content: The bytes.
        file: Where they are from, for errors.

    Raises:
        AnnotationError: They are not UTF-8; the message names the line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise AnnotationError(file, f"not UTF-8 text ({error.reason}); save it as UTF-8", line) from error


def read_list(file: str | Path) -> list[str]:
    """Reads a list of names, one a line; blank lines at the end are no names.

    Raises:
        AnnotationError: A blank line in between, a name with inner white space, or a name given twice.
    """
    seen: dict[str, int] = {}
    lines = read_text(file).rstrip().splitlines()
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name or len(name.split()) != 1:
            raise AnnotationError(file, f"expected one name a line, got {line!r}", number)
        if name in seen:
            raise AnnotationError(file, f"{name!r} was already given in line {seen[name]}", number)
        seen[name] = number
    return list(seen)


def read_json(file: str | Path, expected: type, shape: str) -> Any:
    """Reads a JSON file.

    Args:
        file: The file.
        expected: Type of the outermost value: `dict` or `list`.
        shape: What the file should hold, in words, for the error.

    Returns:
        The value.

    Raises:
        AnnotationError: As for `parse_json`, or another outermost type.
    """
    value = parse_json(read_text(file), file, shape=shape)
    if not isinstance(value, expected):
        raise AnnotationError(file, f"expected {shape}, got a {type(value).__name__}")
    return value


def read_jsonl(file: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a file with one JSON object a line, as `parse_jsonl` reads its text.

    Raises:
        AnnotationError: The file cannot be read, or as for `parse_jsonl`.
    """
    return parse_jsonl(read_text(file), file, columns)


def parse_jsonl(text: str, file: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Parses text with one JSON object a line; blank lines are passed over.

    Args:
        text: The lines.
        file: Where they are from, for errors.
        columns: Keys that every object must have.

    Yields:
        The line number and the object.

    Raises:
        AnnotationError: As for `parse_json`, or a line that is no object, lacks a key, or has one twice.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = parse_json(line, file, number, hook=partial(_distinct_keys, file, number))
        if not isinstance(row, dict):
            raise AnnotationError(file, f"expected an object, got a {type(row).__name__}", number)
        if missing := [column for column in columns if column not in row]:
            names = ", ".join(map(repr, row)) or "nothing"
            raise AnnotationError(
                file,
                f"expected an object with {', '.join(columns)}; it has {names}, and no {', '.join(missing)}",
                number,
            )
        yield number, row


def parse_json(
    text: str,
    file: str | Path,
    line: int | None = None,
    *,
    shape: str = "",
    hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """Parses JSON.

    Args:
        text: The JSON.
        file: Where it is from, for errors.
        line: The line that it is; None where it is the whole file.
        shape: What it should hold, in words, for the error.
        hook: Makes an object of its keys and values, by default a dictionary, in which the last of equal keys counts.

    Raises:
        AnnotationError: No JSON, nested too deeply, or with a number or text that cannot be read.
    """
    try:
        value = json.loads(text, object_pairs_hook=hook)
        if _LONE_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        expected = f"; expected {shape}" if shape else ""
        reason = f"malformed JSON at column {error.colno} ({error.msg}){expected}"
        raise AnnotationError(file, reason, error.lineno if line is None else line) from error
    except UnicodeEncodeError as error:
        lone = error.object[error.start].encode("ascii", "backslashreplace").decode()
        raise AnnotationError(file, f"text with {lone}, half of a character, is not Unicode", line) from error
    except AnnotationError:
        raise
    except ValueError as error:
        raise AnnotationError(file, "malformed JSON: a number has thousands of digits", line) from error
    except RecursionError as error:
        raise AnnotationError(file, "malformed JSON: nested too deeply", line) from error
    return value


def _distinct_keys(file: str | Path, line: int, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(row := dict(pairs)) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise AnnotationError(file, f"expected each key once; {twice!r} is given twice", line)
    return row
