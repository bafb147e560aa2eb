"""What a user knows of videos beside their content: a table with a `video` column and any further columns."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from video_colbert.dataset_builders.annotation_files import AnnotationError, decode_text, parse_jsonl
from video_colbert.dataset_builders.delimited_tables import parse_csv
from video_colbert.dataset_builders.video_files import composed_name
from video_colbert.encoding.media_files import is_remote, open_media
from video_colbert.errors import MetadataError
from video_colbert.index.indexed_video import MetadataValue

_VIDEO = "video"
_NAN = re.compile(r"[+-]?nan|NaN|NAN")
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)
_BOOLEAN = re.compile(r"true|false", re.IGNORECASE)
# What a column of whole numbers can hold.
_LARGEST_WHOLE = 2**63 - 1


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
    """Reads a metadata file: JSON lines (`.jsonl`), or a table with a header (`.csv`) as `parse_csv` takes it.

    In a table, a column whose cells are all whole numbers, numbers, or true and false, is of that type, and otherwise
    text; numbers with leading zeros, and columns of whole numbers that 64 bits do not hold, are text. In JSON lines
    values have the types they are written in; whole numbers become numbers in a column that holds both. Empty cells,
    null and NaN are no values.

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
    text = _read_text(file)
    values: dict[str, dict[str, MetadataValue]] = {}
    columns: dict[str, None] = {}
    try:
        for line, row in _READERS[suffix](text, file):
            video = row.pop(_VIDEO)
            if not isinstance(video, str) or not video.strip():
                raise AnnotationError(file, f"names no video; its column {_VIDEO!r} must hold a path", line)
            if video in values:
                raise AnnotationError(file, f"names {video} again; each video must have one line", line)
            columns.update(dict.fromkeys(row))
            values[video] = {name: value for name, value in row.items() if value is not None}
    except AnnotationError as error:
        raise MetadataError(str(error)) from error
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
    spellings = defaultdict(set)
    for file in known:
        spellings[composed_name(file)].add(file)
    roots = [Path(folder).absolute() for folder in folders]
    found: dict[str, Mapping[str, MetadataValue]] = {}
    absent = []
    for name, values in metadata.values.items():
        named = {name, *(os.path.normpath(root / name) for root in roots)}
        # Without a file of exactly that name, one that another system writes with other bytes for the same letters.
        places = named & known or set().union(*(spellings[composed_name(path)] for path in named))
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
        values = {line.strip(): {} for line in _read_text(file).split("\n") if line.strip()}
    if not values:
        raise MetadataError(f"{file} names no video")
    places = {_absolute(name, file): row for name, row in values.items()}
    return list(places), {place: row for place, row in places.items() if row}


def _absolute(name: str, manifest: str) -> str:
    if is_remote(name):
        return name
    if Path(name).is_absolute():
        return _present_spelling(name)
    if is_remote(manifest):
        return f"{manifest.rpartition('/')[0]}/{name}"
    return _present_spelling(os.path.normpath(Path(manifest).absolute().parent / name))


def _present_spelling(path: str) -> str:
    """The path of a file that is there under these letters, whatever bytes stand for them; else the path itself."""
    if path.isascii() or os.path.lexists(path):
        return path
    root, *names = Path(path).parts
    found = Path(root)
    for name in names:
        if not os.path.lexists(found / name):
            same = [other.name for other in _entries(found) if composed_name(other.name) == composed_name(name)]
            if len(same) != 1:
                return path
            (name,) = same
        found /= name
    return str(found)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _read_text(file: str) -> str:
    from video_colbert.processing import VideoDecodingError

    try:
        with open_media(file) as opened:
            content = Path(opened).read_bytes() if isinstance(opened, str) else opened.read()
        return decode_text(content, file)
    except AnnotationError as error:
        raise MetadataError(str(error)) from error
    except (VideoDecodingError, OSError) as error:
        raise MetadataError(f"{file} cannot be read ({getattr(error, 'reason', error)})") from error


def _json_rows(text: str, file: str) -> Iterator[tuple[int, dict[str, MetadataValue | None]]]:
    for line, row in parse_jsonl(text, file, (_VIDEO,)):
        for name, value in row.items():
            if isinstance(value, list | dict):
                raise AnnotationError(
                    file, f"{name!r} must be text, a number, or true or false, not a {type(value).__name__}", line
                )
            if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
                raise AnnotationError(file, f"{name!r} is too large a number for an index; write it as text", line)
            if isinstance(value, float) and math.isnan(value):
                row[name] = None
        yield line, row


def _csv_rows(text: str, file: str) -> Iterator[tuple[int, dict[str, MetadataValue | None]]]:
    rows = list(parse_csv(text, file, (_VIDEO,)))
    names = [name for name in (rows[0][1] if rows else ()) if name != _VIDEO]
    readers = {name: _cell_reader([row[name] for _, row in rows]) for name in names}
    for line, row in rows:
        yield line, {_VIDEO: row[_VIDEO], **{name: readers[name](row[name]) for name in names}}


def _cell_reader(cells: Iterable[str]) -> Callable[[str], MetadataValue | None]:
    """What reads the cells of a column, as `read_metadata` describes."""
    values = [cell.strip() for cell in cells if cell.strip()]
    stated = [value for value in values if not _NAN.fullmatch(value)]
    if all(map(_WHOLE_NUMBER.fullmatch, stated)):
        return _value_reader(int) if all(map(_is_storable, stated)) else _read_text_cell
    if all(map(_NUMBER.fullmatch, stated)):
        return _value_reader(float)
    if all(map(_BOOLEAN.fullmatch, stated)):
        return _value_reader(lambda cell: cell.lower() == "true")
    return _read_text_cell


def _value_reader(read: Callable[[str], MetadataValue]) -> Callable[[str], MetadataValue | None]:
    def read_cell(cell: str) -> MetadataValue | None:
        value = cell.strip()
        return read(value) if value and not _NAN.fullmatch(value) else None

    return read_cell


def _read_text_cell(cell: str) -> str | None:
    return cell or None


def _is_storable(digits: str) -> bool:
    return len(digits) <= len(str(-_LARGEST_WHOLE)) and abs(int(digits)) <= _LARGEST_WHOLE


_READERS = {".jsonl": _json_rows, ".csv": _csv_rows}
