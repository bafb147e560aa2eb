"""Tables as spreadsheets and programs write them: a header, and cells between commas, semicolons or tabs."""

import csv
import io
import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from .annotation_files import AnnotationError, read_text

logger = logging.getLogger(__name__)

_SEPARATORS = (",", ";", "\t")
# What spreadsheets put in front of the header to say what separates cells.
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[,;|\t])"?\r?\n', re.IGNORECASE)
# The longest cell is a setting of the whole process.
_CELL_LIMIT_LOCK = threading.Lock()


def read_csv(file: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads a file with a header, as `parse_csv` reads its text.

    Raises:
        AnnotationError: The file cannot be read, or as for `parse_csv`.
    """
    return parse_csv(read_text(file), file, columns)


def parse_csv(text: str, file: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Parses a table whose first row is a header, separated by commas, semicolons or tabs.

    Names of columns lose the spaces around them and unquoted cells those before them; rows without any text are passed
    over. A column without a name is left out, which the log says where it holds anything.

    Args:
        text: The table.
        file: Where it is from, for errors.
        columns: Columns that must be there; others are passed on as they are.

    Yields:
        The line where each row begins, and the row.

    Raises:
        AnnotationError: A missing column, which names those that are there; a column named twice; a row with more or
            fewer cells than the header; or quotes that do not end.
    """
    if "\n" not in text:
        text = text.replace("\r", "\n")
    first_line = 1
    candidates: Sequence[str] = _SEPARATORS
    if (said := _SEPARATOR_LINE.match(text)) is not None:
        text, candidates, first_line = text[said.end() :], (said["separator"],), 2
    header, separator = _read_header(text, file, columns, candidates, first_line)
    nameless = [place for place, name in enumerate(header) if not name]
    left_out: set[int] = set()
    for line, cells in islice(_rows(text, file, separator, first_line), 1, None):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            named = ", ".join(filter(None, header))
            raise AnnotationError(file, f"expected {len(header)} cells ({named}), found {len(cells)}", line)
        left_out.update(place for place in nameless if cells[place])
        yield line, {name: cell for name, cell in zip(header, cells, strict=True) if name}
    for place in sorted(left_out):
        logger.warning("%s: column %d has no name in the header and is left out", file, place + 1)


def _read_header(
    text: str, file: str | Path, columns: Sequence[str], separators: Sequence[str], first_line: int
) -> tuple[list[str], str]:
    """The names of the columns, and what separates cells: the first separator that gives the columns asked for."""
    found: list[tuple[int, list[str], str]] = []
    malformed: list[AnnotationError] = []
    for separator in separators:
        try:
            line, cells = next(_rows(text, file, separator, first_line), (first_line, []))
        except AnnotationError as error:
            # As where names stand in quotes and another sign lies between them.
            malformed.append(error)
        else:
            found.append((line, [cell.strip() for cell in cells], separator))
    if not found:
        raise malformed[0]
    line, header, separator = next(
        (choice for choice in found if set(columns) <= set(choice[1])), max(found, key=lambda choice: len(choice[1]))
    )
    if missing := [column for column in columns if column not in header]:
        names = ", ".join(map(repr, filter(None, header))) or "nothing"
        raise AnnotationError(
            file, f"expected a header with {', '.join(columns)}; it has {names}, and no {', '.join(missing)}", line
        )
    twice = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if twice:
        raise AnnotationError(file, f"expected each column once; the header names {', '.join(twice)} twice", line)
    return header, separator


def _rows(text: str, file: str | Path, separator: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """The line where each row begins, and its cells; lines without a character are none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        line = first_line + reader.line_num
        try:
            with _cells_of_any_length(len(text)):
                cells = next(reader, None)
        except csv.Error as error:
            raise AnnotationError(file, f"malformed CSV: {error}", line) from error
        if cells is None:
            return
        if cells:
            yield line, cells


@contextmanager
def _cells_of_any_length(length: int) -> Iterator[None]:
    with _CELL_LIMIT_LOCK:
        limit = csv.field_size_limit()
        csv.field_size_limit(max(limit, length + 1))
        try:
            yield
        finally:
            csv.field_size_limit(limit)
