"""Reads annotation files: every error names the file, the line and what was expected there."""

import csv
import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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
        AnnotationError: There is no such file, or it is not UTF-8.
    """
    try:
        return Path(file).read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise AnnotationError(file, "no such file") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise AnnotationError(file, f"not UTF-8 text ({error.reason})", line) from error


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


def read_csv(file: str | Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads a comma-separated file with a header.

    Args:
        file: The file.
        columns: Columns that must be there; others are passed on as they are.

    Yields:
        The line where each row begins, and the row.

    Raises:
        AnnotationError: A missing column, or a row with more or fewer fields than the header.
    """
    reader = csv.DictReader(io.StringIO(read_text(file), newline=""), strict=True)
    line = 1
    try:
        header = reader.fieldnames or []
        missing = [column for column in columns if column not in header]
        if missing:
            raise AnnotationError(
                file, f"expected a header with {', '.join(columns)}; {', '.join(missing)} is not in it", 1
            )
        line = reader.line_num + 1
        for row in reader:
            # DictReader keeps surplus fields under the key None and gives missing ones the value None.
            if None in row or None in row.values():
                raise AnnotationError(file, f"expected {len(header)} fields ({', '.join(header)})", line)
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise AnnotationError(file, f"malformed CSV: {error}", line) from error


def read_json(file: str | Path, expected: type, shape: str) -> Any:
    """Reads a JSON file.

    Args:
        file: The file.
        expected: Type of the outermost value: `dict` or `list`.
        shape: What the file should hold, in words, for the error.

    Returns:
        The value.

    Raises:
        AnnotationError: Not JSON, or another outermost type.
    """
    try:
        value = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise AnnotationError(
            file, f"malformed JSON at column {error.colno} ({error.msg}); expected {shape}", error.lineno
        ) from error
    if not isinstance(value, expected):
        raise AnnotationError(file, f"expected {shape}, got a {type(value).__name__}")
    return value


def read_jsonl(file: str | Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a file with one JSON object a line; blank lines are passed over.

    Args:
        file: The file.
        columns: Keys that every object must have.

    Yields:
        The line number and the object.

    Raises:
        AnnotationError: A line that is no JSON object, or lacks a key.
    """
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise AnnotationError(file, f"malformed JSON at column {error.colno} ({error.msg})", number) from error
        missing = [column for column in columns if not isinstance(row, dict) or column not in row]
        if missing:
            raise AnnotationError(
                file, f"expected an object with {', '.join(columns)}; {', '.join(missing)} is missing", number
            )
        yield number, row


class PlainUnpickler(pickle.Unpickler):
    """Unpickles containers, strings and numbers; whatever would call or import anything is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuses every class and function.

        Raises:
            UnpicklingError: Always.
        """
        raise pickle.UnpicklingError(f"it refers to {module}.{name}; only lists, dicts and strings are allowed")


def read_plain_pickle(file: str | Path) -> dict[str, Any]:
    """Reads a pickled dict of plain containers and strings, and runs nothing that the file asks for.

    Raises:
        AnnotationError: There is no such file, it is no pickle, it refers to a class or function, or it is
            not a dict with text keys.
    """
    try:
        with Path(file).open("rb") as stream:
            # Python 2 wrote the MSVD captions: its byte strings are UTF-8 text.
            value = PlainUnpickler(stream, encoding="utf-8").load()
    except FileNotFoundError as error:
        raise AnnotationError(file, "no such file") from error
    except Exception as error:
        # A broken pickle raises almost any exception.
        raise AnnotationError(file, f"refused or unreadable pickle: {error or type(error).__name__}") from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise AnnotationError(file, "expected a pickled dict with video names as keys")
    return value
