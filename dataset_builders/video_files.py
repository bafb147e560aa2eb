"""Finds the video files of a folder, and the columns that every data set here has."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datasets

# Containers that FFmpeg opens and that people keep videos in.
VIDEO_EXTENSIONS = frozenset(
    (
        *(".3g2", ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
        *(".mpeg", ".mpg", ".mts", ".ogg", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
    )
)


class MissingVideosError(FileNotFoundError):
    """Videos that the annotations name and that the folder does not hold.

    Attributes:
        missing: The names of the missing videos.
        total: How many videos the annotations name.
        folder: Where they were looked for.
    """

    SHOWN = 20

    def __init__(self, missing: list[str], total: int, folder: str | Path) -> None:
        self.missing = missing
        self.total = total
        self.folder = Path(folder)
        names = ", ".join(missing[: self.SHOWN])
        more = f" and {len(missing) - self.SHOWN} more" if len(missing) > self.SHOWN else ""
        super().__init__(
            f"{len(missing)} of {total} videos are not in {folder}: {names}{more}. "
            "Pass allow_missing=True to keep their rows with a null video."
        )


def video_text_features() -> "datasets.Features":
    """The columns of every data set here, one row a video.

    `video` is `{"path", "bytes"}`, undecoded, or null where the file is missing; `start` and `end` bound
    the part that the captions are about, in seconds, null for the beginning and the end of the file.
    """
    # Only here: archives and folders of videos are read where `datasets` is not installed, too.
    import datasets

    return datasets.Features(
        {
            "video_id": datasets.Value("string"),
            "video": datasets.Video(decode=False),
            "captions": [datasets.Value("string")],
            "start": datasets.Value("float64"),
            "end": datasets.Value("float64"),
        }
    )


def find_videos(folder: str | Path) -> list[Path]:
    """Lists the video files under a folder, at any depth, by extension.

    Hidden files and folders (a name that begins with a dot) are passed over.

    Args:
        folder: The folder.

    Returns:
        Absolute paths, sorted by their path below the folder.

    Raises:
        NotADirectoryError: There is no such folder.
    """
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        raise NotADirectoryError(f"no such folder of videos: {folder}")
    found: list[Path] = []
    visited: set[str] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        # A link to a folder above would go on for ever.
        visited.add(os.path.realpath(parent))
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(Path(parent, name)) not in visited
        ]
        found.extend(
            Path(parent, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_EXTENSIONS
        )
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def composed_name(name: str) -> str:
    """A name in Unicode's composed form (NFC), the same whichever form a system wrote its letters in."""
    return unicodedata.normalize("NFC", name)


def is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8, which a file's name on Linux need not be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def video_stem(name: str) -> str:
    """A video file's name without its extension; other dots belong to the name."""
    path = Path(name)
    return path.stem if path.suffix.lower() in VIDEO_EXTENSIONS else name.rstrip(".")


def files_fingerprint(videos: Iterable[Path], annotations: Iterable[Path]) -> str:
    """Digest of what rows are made of: which videos there are, and the state of the annotation files.

    A cache that is named after it is not used any more once a video or an annotation file has changed.
    """
    digest = hashlib.blake2b(digest_size=8)
    for video in videos:
        digest.update(os.fsencode(video) + b"\0")
    for annotation in annotations:
        state = annotation.stat()
        digest.update(os.fsencode(annotation) + f"\0{state.st_size}/{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()
