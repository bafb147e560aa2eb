"""Which files a user means by a list of files and folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Audio files are taken too: who keeps them among videos is told that they hold no picture.
_MEDIA_SUFFIXES = frozenset(
    (
        *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv"),
        *(".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv"),
        *(".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp2", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"),
    )
)


@dataclass(frozen=True)
class FoundFiles:
    """Files to index.

    Attributes:
        files: absolute paths, each once, in the order given and by name within a folder.
        left_out: number of files in folders that were left out, by suffix, since they are no media files.
    """

    files: list[Path]
    left_out: dict[str, int]


def find_video_files(sources: Iterable[str | os.PathLike[str]]) -> FoundFiles:
    """Lists the media files among `sources`, folders at any depth.

    A file that is named is always taken; in folders, hidden files and files without a media suffix are left
    out.

    Args:
        sources: files and folders.

    Raises:
        FileNotFoundError: a source is not there, or no media file is among them; the message says which.
    """
    roots = [Path(source) for source in sources]
    files: dict[Path, None] = {}
    left_out: Counter[str] = Counter()
    for root in roots:
        if root.is_dir():
            for path in sorted(root.rglob("*")):
                if not path.is_file() or any(part.startswith(".") for part in path.relative_to(root).parts):
                    continue
                if path.suffix.lower() in _MEDIA_SUFFIXES:
                    files[_absolute(path)] = None
                else:
                    left_out[path.suffix.lower() or "no suffix"] += 1
        elif root.exists():
            files[_absolute(root)] = None
        else:
            raise FileNotFoundError(f"there is no file or folder {root}")
    if not files:
        raise FileNotFoundError(f"there is no video file in {', '.join(map(str, roots)) or 'an empty list'}")
    return FoundFiles(list(files), dict(left_out))


def _absolute(path: Path) -> Path:
    # Links are kept as they are named: what they point to may be a cache file without a telling name.
    return Path(os.path.normpath(path.absolute()))
