"""Paths of a filter that are not absolute: they are meant inside the folders that were indexed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from video_colbert.encoding.media_files import is_remote
from video_colbert.index.filters import AllOf, AnyOf, Comparison, Filter, FilterValue, Membership, TextMatch

_PATH = "path"


def inside_folders(condition: Filter, folders: Sequence[str]) -> Filter:
    """The same condition with absolute paths.

    A path that is not absolute is looked for in each of the folders and as it stands: `path startswith 'holiday/'`
    becomes a condition on the beginnings `/videos/holiday/` and `holiday/`. An order (`path < 'b'`) is one of whole
    paths and stays.

    Args:
        condition: what to change.
        folders: absolute paths.
    """
    if isinstance(condition, AllOf | AnyOf):
        return replace(condition, parts=tuple(inside_folders(part, folders) for part in condition.parts))
    if condition.column != _PATH:
        return condition
    if isinstance(condition, TextMatch):
        if condition.starts == ("",):
            is_relative = not _is_absolute(condition.pattern)
            starts = [_below(folder) for folder in folders] if is_relative else []
            return replace(condition, starts=(*starts, ""))
        return replace(condition, starts=tuple(map(str, _places(condition.starts, folders))))
    if isinstance(condition, Membership):
        return replace(condition, values=tuple(_places(condition.values, folders)))
    if isinstance(condition, Comparison) and condition.operator in ("=", "!="):
        return Membership(_PATH, tuple(_places((condition.value,), folders)), negated=condition.operator == "!=")
    return condition


def working_folder() -> list[str]:
    """The working directory; none if it was removed."""
    try:
        return [str(Path.cwd())]
    except OSError:
        return []


def _places(values: Sequence[FilterValue], folders: Sequence[str]) -> list[FilterValue]:
    """What a value may mean, and the value itself."""
    places: dict[FilterValue, None] = {}
    for value in values:
        if isinstance(value, str) and value and not _is_absolute(value):
            places.update(dict.fromkeys(_inside(folder, value) for folder in folders))
        places[value] = None
    return list(places)


def _inside(folder: str, path: str) -> str:
    place = os.path.normpath(Path(folder) / path)
    # What ends in a separator means what is below it.
    return _below(place) if path.endswith(("/", os.sep)) or path in (os.curdir, os.pardir) else place


def _below(folder: str) -> str:
    """How the paths of what is in a folder begin."""
    return folder if folder.endswith(os.sep) else f"{folder}{os.sep}"


def _is_absolute(path: str) -> bool:
    return is_remote(path) or Path(path).is_absolute()
