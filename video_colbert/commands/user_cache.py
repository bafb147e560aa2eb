"""The user's cache folder: indexes of folders that were searched with `search --in`, and the prompt's history."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from video_colbert.cache_folder import cache_folder
from video_colbert.whole_files import write_whole

FileState = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""

_FILES = "files.json"
_INDEX = "index"


@dataclass(frozen=True)
class CachedIndex:
    """An index of folders in the cache folder, with the state of the files that it was made of.

    Attributes:
        place: folder that holds both.
        folders: what is searched.
    """

    place: Path
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, folders: Sequence[Path], model: str) -> CachedIndex:
        """The index of some folders under one model.

        Args:
            folders: without links, sorted.
            model: what tells its weights and settings from all others.
        """
        key = json.dumps([*map(str, folders), model])
        name = hashlib.sha256(os.fsencode(key)).hexdigest()[:20]
        return cls(cache_folder() / "indexes" / name, tuple(folders))

    @classmethod
    def all(cls) -> Iterator[CachedIndex]:
        """All indexes of the cache folder."""
        for place in sorted((cache_folder() / "indexes").glob("*")):
            if (place / _INDEX).is_dir():
                yield cls(place, _read(place).folders)

    @property
    def location(self) -> str:
        """Where the index is, or will be."""
        return str(self.place / _INDEX)

    @property
    def lock_file(self) -> Path:
        """What a process locks while it changes the index; its folder is made if need be."""
        self.place.mkdir(parents=True, exist_ok=True)
        return self.place / "lock"

    def read_files(self) -> dict[str, FileState]:
        """The files that the index was last brought up to date with; none where that is not known."""
        return _read(self.place).files

    def write_files(self, files: Mapping[str, FileState]) -> None:
        """Keeps the state of files whose contents the index holds, or that hold the same as another.

        Raises:
            OSError: it cannot be written.
        """
        content = {"folders": [str(folder) for folder in self.folders], "files": files}
        write_whole(self.place / _FILES, json.dumps(content))

    def forget_files(self, paths: Collection[str]) -> None:
        """Drops the state of some files.

        Raises:
            OSError: it cannot be written.
        """
        known = self.read_files()
        if not known.keys().isdisjoint(paths):
            self.write_files({path: state for path, state in known.items() if path not in paths})


@dataclass(frozen=True)
class _Kept:
    """What is kept beside an index: the folders it is of, and the state of their files."""

    folders: tuple[Path, ...] = ()
    files: dict[str, FileState] = field(default_factory=dict)


def _read(place: Path) -> _Kept:
    """What is kept beside an index; where it cannot be read, nothing, and files are read again."""
    try:
        content = json.loads((place / _FILES).read_text(encoding="utf-8"))
        folders = [str(folder) for folder in content["folders"]]
        files = {str(path): (int(size), int(time)) for path, (size, time) in content["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _Kept()
    return _Kept(tuple(map(Path, folders)), files)


def file_states(paths: Iterable[Path]) -> dict[str, FileState]:
    """The state of files; of those that are gone by now, none."""
    states = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        states[str(path)] = (status.st_size, status.st_mtime_ns)
    return states
