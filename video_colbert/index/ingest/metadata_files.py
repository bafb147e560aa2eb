"""What a user knows of videos beside their content: a table with a `video` column and any further columns."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from video_colbert.encoding.media_files import is_remote, open_media
from video_colbert.errors import MetadataError
from video_colbert.index.indexed_video import MetadataValue
from video_colbert.processing import VideoDecodingError

_VIDEO = "video"
_CELL_READERS: tuple[tuple[re.Pattern[str], Callable[[str], MetadataValue]], ...] = (
    (re.compile(r"-?(0|[1-9]\d*)"), int),
    (re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"), float),
    (re.compile(r"true|false", re.IGNORECASE), lambda cell: cell.lower() == "true"),
)


@dataclass(frozen=True)
class VideoMetadata:
    """Metadata of videos.

    Attributes:
        values: by the name of the video as the file has it, its values by column; empty cells are left out. All
            values of a column are of one type.
        columns: names of all columns but that of the video.
    """

    values: Mapping[str, Mapping[str, MetadataValue]]
    columns: tuple[str, ...]


def read_metadata(path: str | os.PathLike[str]) -> VideoMetadata:
    """Reads a metadata file: JSON lines (`.jsonl`), or CSV with a header (`.csv`).

    In CSV, a column whose cells are all whole numbers, numbers, or true and false, is of that type, and otherwise
    text. In JSON lines values have the types they are written in; whole numbers become numbers in a column that
    holds both.

    Args:
        path: the file, or its URL.

    Raises:
        MetadataError: the file cannot be read or is neither, a row has no video or that of another row, or a value
            is a list or an object.
    """
    file = os.fspath(path)
    suffix = PurePath(file).suffix.lower()
    if suffix not in _READERS:
        raise MetadataError(f"{file} must be named .jsonl or .csv, as what it is")
    values: dict[str, dict[str, MetadataValue]] = {}
    columns: dict[str, None] = {}
    for line, row in _READERS[suffix](file, _read_text(file)):
        video = row.pop(_VIDEO, None)
        if not isinstance(video, str) or not video:
            raise MetadataError(f"{file}, line {line}, names no video; its column {_VIDEO!r} must hold a path")
        if video in values:
            raise MetadataError(f"{file}, line {line}, names {video} again; each video must have one line")
        columns.update(dict.fromkeys(row))
        values[video] = {name: value for name, value in row.items() if value is not None}
    for name in columns:
        numbers = [described for described in values.values() if isinstance(described.get(name), int | float)]
        if {type(described[name]) for described in numbers} == {int, float}:
            for described in numbers:
                described[name] = float(described[name])
    return VideoMetadata(values, tuple(columns))


def match_metadata(
    metadata: VideoMetadata, files: Iterable[str], folders: Iterable[str | os.PathLike[str]]
) -> tuple[dict[str, Mapping[str, MetadataValue]], list[str]]:
    """Finds the files that metadata speaks of.

    Args:
        metadata: by name: a URL, an absolute path, or a path relative to one of `folders`.
        files: absolute paths or URLs.
        folders: where names may start.

    Returns:
        The values by file, and the names for which there is no file.

    Raises:
        MetadataError: a name means several of the files.
    """
    known = set(files)
    roots = [Path(folder).absolute() for folder in folders]
    found: dict[str, Mapping[str, MetadataValue]] = {}
    absent = []
    for name, values in metadata.values.items():
        places = {name, *(os.path.normpath(root / name) for root in roots)} & known
        if len(places) > 1:
            raise MetadataError(f"metadata for {name} may mean {' or '.join(sorted(places))}; name it with its folder")
        if places:
            found[places.pop()] = values
        else:
            absent.append(name)
    return found, absent


def read_manifest(path: str | os.PathLike[str]) -> tuple[list[str], dict[str, Mapping[str, MetadataValue]]]:
    """Reads which videos to index, and what is known of them.

    Args:
        path: a file, or its URL: a path or URL a line, or what `read_metadata` takes if it is named so. Relative
            paths start at the folder of the manifest.

    Returns:
        Absolute paths and URLs, each once, and the metadata of those that have some.

    Raises:
        MetadataError: the file cannot be read, names no video, or is not as `read_metadata` takes it.
    """
    file = os.fspath(path)
    if PurePath(file).suffix.lower() in _READERS:
        values = read_metadata(file).values
    else:
        values = {line.strip(): {} for line in _read_text(file).splitlines() if line.strip()}
    if not values:
        raise MetadataError(f"{file} names no video")
    places = {_absolute(name, file): row for name, row in values.items()}
    return list(places), {place: row for place, row in places.items() if row}


def _absolute(name: str, manifest: str) -> str:
    if is_remote(name) or Path(name).is_absolute():
        return name
    if is_remote(manifest):
        return f"{manifest.rpartition('/')[0]}/{name}"
    return os.path.normpath(Path(manifest).absolute().parent / name)


def _read_text(file: str) -> str:
    try:
        with open_media(file) as opened:
            content = Path(opened).read_bytes() if isinstance(opened, str) else opened.read()
        return content.decode("utf-8-sig")
    except (VideoDecodingError, OSError, UnicodeDecodeError) as error:
        raise MetadataError(f"{file} cannot be read ({getattr(error, 'reason', error)})") from error


def _json_rows(file: str, text: str) -> Iterator[tuple[int, dict[str, MetadataValue | None]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise MetadataError(f"{file}, line {number}, is no JSON ({error})") from error
        if not isinstance(row, dict):
            raise MetadataError(f"{file}, line {number}, must be a JSON object, one a line")
        for name, value in row.items():
            if isinstance(value, list | dict):
                raise MetadataError(
                    f"{file}, line {number}: {name!r} must be text, a number, or true or false, not a "
                    f"{type(value).__name__}"
                )
        yield number, row


def _csv_rows(file: str, text: str) -> Iterator[tuple[int, dict[str, MetadataValue | None]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise MetadataError(f"{file}, line {reader.line_num}, is no CSV ({error})") from error
    for number, row in rows:
        if None in row or None in row.values():
            raise MetadataError(f"{file}, line {number}, has not as many cells as the header has columns")
    names = [name for name in reader.fieldnames or () if name != _VIDEO]
    readers = {name: _cell_reader([row[name] for _, row in rows if row[name]]) for name in names}
    for number, row in rows:
        cells = {name: readers[name](row[name]) if row[name] else None for name in names}
        yield number, {_VIDEO: row.get(_VIDEO), **cells}


def _cell_reader(cells: list[str]) -> Callable[[str], MetadataValue]:
    """What reads the cells of a column; numbers with leading zeros are names, and stay text."""
    for pattern, read in _CELL_READERS:
        if all(pattern.fullmatch(cell) for cell in cells):
            return read
    return str


_READERS = {".jsonl": _json_rows, ".csv": _csv_rows}
