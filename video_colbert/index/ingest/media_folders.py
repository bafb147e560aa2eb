"""The files that a user means by a list of files and folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from video_colbert.dataset_builders.video_files import AUDIO_EXTENSIONS, VIDEO_EXTENSIONS, look_through
from video_colbert.encoding.encoded import BadVideo

# Audio files are taken too: who keeps them among videos is told that they hold no picture.
_MEDIA_EXTENSIONS = VIDEO_EXTENSIONS | AUDIO_EXTENSIONS


@dataclass(frozen=True)
class FoundFiles:
    """Files to index, and what was passed over in folders.

    Attributes:
        files: absolute paths, each once, in the order given and by name within a folder.
        left_out: number of files that were left out, by suffix, since they are no media files.
        followed: links to folders that were looked into.
        hidden: number of hidden files, and of hidden folders, which were not looked into.
        dangling: links to nothing, and what is no file, such as a pipe.
        unreadable: folders that could not be looked into, with the reason.
    """

    files: list[Path]
    left_out: dict[str, int] = field(default_factory=dict)
    followed: list[Path] = field(default_factory=list)
    hidden: int = 0
    dangling: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def bad_folders(self) -> list[BadVideo]:
        """The folders that could not be looked into, as a report lists them."""
        return [
            BadVideo(str(folder), f"the folder cannot be looked into: {reason}")
            for folder, reason in self.unreadable.items()
        ]

    def passed_over(self) -> dict[str, int]:
        """The number of files that were left out, by suffix or in words."""
        others = {"hidden": self.hidden, "links to nothing or no files": len(self.dangling)}
        return {**self.left_out, **{kind: number for kind, number in others.items() if number}}


def find_video_files(sources: Iterable[str | os.PathLike[str]], *, may_be_empty: bool = False) -> FoundFiles:
    """Lists the media files among `sources`, folders at any depth.

    A file that is named is always taken. In folders, links are followed, each folder is looked into once, and hidden
    files and files without a media suffix are left out.

    Args:
        sources: files and folders.
        may_be_empty: whether it is right that there is no media file among them.

    Raises:
        FileNotFoundError: a source is not there, or no media file is among them; the message says which.

    Example:
        >>> [file.name for file in find_video_files(["my_videos", "a.mp4"]).files]
        ['c.mp4', 'd.mp4', 'a.mp4']
    """
    roots = [Path(source) for source in sources]
    files: dict[Path, None] = {}
    left_out: Counter[str] = Counter()
    hidden, followed, dangling, unreadable = 0, list[Path](), list[Path](), dict[Path, str]()
    for root in roots:
        if root.is_dir():
            content = look_through(_absolute(root), _MEDIA_EXTENSIONS)
            files.update(dict.fromkeys(content.files))
            left_out.update({suffix or "no suffix": number for suffix, number in content.other.items()})
            followed += content.followed
            hidden += content.hidden
            dangling += content.dangling
            unreadable.update(content.unreadable)
        elif root.exists():
            files[_absolute(root)] = None
        else:
            raise FileNotFoundError(f"there is no file or folder {root}")
    if not files and not may_be_empty:
        closed = "".join(f"; {folder} cannot be looked into: {reason}" for folder, reason in unreadable.items())
        raise FileNotFoundError(f"there is no video file in {', '.join(map(str, roots)) or 'an empty list'}{closed}")
    return FoundFiles(list(files), dict(left_out), followed, hidden, dangling, unreadable)


def _absolute(path: Path) -> Path:
    # Links are kept as they are named: what they point to may be a cache file without a telling name.
    return Path(os.path.normpath(path.absolute()))
