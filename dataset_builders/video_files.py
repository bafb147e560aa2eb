"""Finds the video files of a folder, and the columns that every data set here has."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datasets

VIDEO_EXTENSIONS = frozenset(
    (
        *(".264", ".265", ".3g2", ".3gp", ".3gpp", ".amv", ".apng", ".asf", ".avi", ".divx", ".dv", ".evo", ".f4v"),
        *(".flv", ".gif", ".gxf", ".h261", ".h263", ".h264", ".h265", ".hevc", ".insv", ".ismv", ".ivf", ".lrv"),
        *(".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mod", ".mov"),
        *(".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nsv", ".nut", ".obu", ".ogg", ".ogm", ".ogv"),
        *(".ogx", ".qt", ".rm", ".rmvb", ".tod", ".tp", ".trp", ".ts", ".vc1", ".vob", ".vro", ".webm", ".wmv"),
        *(".wtv", ".xesc", ".y4m"),
    )
)
"""Containers and streams that FFmpeg opens and that people keep videos in; the whole library knows this list alone."""

AUDIO_EXTENSIONS = frozenset(
    (".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp2", ".mp3", ".oga", ".opus", ".wav", ".wma")
)
"""The same for sound."""


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


@dataclass
class FolderContent:
    """What a folder holds, at any depth.

    Attributes:
        root: The folder, absolute.
        files: Files of the kinds that were looked for, sorted by their path below the folder.
        other: How many files there are of each other extension, in lower case; "" where a name has none.
        followed: Links to folders that were looked into.
        hidden: Hidden files, which begin with a dot, and hidden folders, which are not looked into.
        dangling: Links to nothing, and what is no file, such as a pipe.
        unreadable: Folders that cannot be looked into, with the reason.
    """

    root: Path
    files: list[Path] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    followed: list[Path] = field(default_factory=list)
    hidden: int = 0
    dangling: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path as a shell would take it: "~" is the user's home; a user that there is not stays a name, "~nobody".

    Args:
        path: Of a file or folder, as it was typed.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises a RuntimeError over such a user


def look_through(folder: str | Path, extensions: Collection[str]) -> FolderContent:
    """Looks through a folder, and through those that links in it lead to; each of them once.

    Args:
        folder: The folder.
        extensions: Of the files that are wanted, in lower case.

    Returns:
        What was found, and all that was passed over.

    Raises:
        NotADirectoryError: There is no such folder.
    """
    root = user_path(folder).absolute()
    if not root.is_dir():
        raise NotADirectoryError(f"no such folder of videos: {folder}")
    content = FolderContent(root)
    visited: set[str] = set()
    folders, links = [root], list[Path]()
    # What is there itself comes first, so that a link to it does not give its files another name.
    while folders or links:
        is_link = not folders
        parent = links.pop(0) if is_link else folders.pop()
        real = os.path.realpath(parent)
        if real in visited:
            continue
        visited.add(real)
        if is_link:
            content.followed.append(parent)
        try:
            with os.scandir(parent) as entries:
                for entry in entries:
                    _sort_in(entry, extensions, content, folders, links)
        except OSError as error:
            content.unreadable[parent] = error.strerror or str(error)
    content.files.sort(key=lambda path: path.relative_to(root).as_posix())
    return content


def _sort_in(
    entry: "os.DirEntry[str]",
    extensions: Collection[str],
    content: FolderContent,
    folders: list[Path],
    links: list[Path],
) -> None:
    path = Path(entry.path)
    if entry.name.startswith("."):
        content.hidden += 1
    elif _is_folder(entry):
        (links if entry.is_symlink() else folders).append(path)
    elif not path.is_file():
        content.dangling.append(path)
    elif path.suffix.lower() in extensions:
        content.files.append(path)
    else:
        content.other[path.suffix.lower()] += 1


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def find_videos(folder: str | Path) -> list[Path]:
    """Lists the video files under a folder, at any depth, by extension, as `look_through` finds them.

    Args:
        folder: The folder.

    Returns:
        Absolute paths, sorted by their path below the folder.

    Raises:
        NotADirectoryError: There is no such folder.
    """
    return look_through(folder, VIDEO_EXTENSIONS).files


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
    """Digest of what rows are made of: which videos there are, and the content of the annotation files.

    A cache that is named after it is not used any more once a video or an annotation file has changed.
    """
    digest = hashlib.blake2b(digest_size=8)
    for video in videos:
        digest.update(os.fsencode(video) + b"\0")
    for annotation in annotations:
        # By content: a file that was edited may have the size and the time that it had.
        content = hashlib.blake2b(annotation.read_bytes(), digest_size=16).digest()
        digest.update(os.fsencode(annotation) + b"\0" + content)
    return digest.hexdigest()
