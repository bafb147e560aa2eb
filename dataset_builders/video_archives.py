"""Extracts videos from zip and tar archives, whole or in parts, and nothing outside the target folder."""

import io
import logging
import os
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from .video_files import VIDEO_EXTENSIONS

logger = logging.getLogger(__name__)

# name.tar.part-000, name.tar.gz.part_aa, name.zip.001: the archive's name and the part's place.
_PART = re.compile(
    r"(?P<archive>.+\.(?:tar|tgz|tar\.gz|zip))\.(?:part[-_.]?(?P<named>[0-9a-z]+)|(?P<numbered>[0-9]{2,}))",
    re.IGNORECASE,
)


class UnsafeArchiveError(ValueError):
    """An archive with a member that would be written outside the target folder, or that is no plain file.

    Attributes:
        archive: The archive.
        member: Name of the member.
    """

    def __init__(self, archive: str | Path, member: str, reason: str) -> None:
        self.archive = Path(archive)
        self.member = member
        super().__init__(f"{archive}: member {member!r} is refused, for {reason}; nothing was extracted")


@dataclass(frozen=True)
class ArchiveMember:
    """A plain file in an archive.

    Attributes:
        path: Where it goes below the target folder.
        size: Its size in bytes.
        entry: What the archive's own module calls it.
    """

    path: PurePosixPath
    size: int
    entry: zipfile.ZipInfo | tarfile.TarInfo


class JoinedParts(io.RawIOBase):
    """Several files read as one, without copying them together.

    Args:
        parts: The files in order.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        super().__init__()
        self._parts = [(path, path.stat().st_size) for path in parts]
        self._size = sum(size for _, size in self._parts)
        self._position = 0
        self._open_index = -1
        self._open_file: IO[bytes] | None = None

    def readable(self) -> bool:
        """Says that the file can be read."""
        return True

    def seekable(self) -> bool:
        """Says that the file has positions."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position in the whole."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        """The position in the whole."""
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override] # the stub says Buffer
        """Reads from one part at most; a buffered reader asks again."""
        start = 0
        for index, (path, size) in enumerate(self._parts):
            if self._position < start + size:
                if index != self._open_index:
                    self._close_part()
                    self._open_file, self._open_index = path.open("rb"), index
                assert self._open_file is not None  # noqa: S101 - opened above
                self._open_file.seek(self._position - start)
                data = self._open_file.read(min(len(buffer), start + size - self._position))
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)
            start += size
        return 0

    def close(self) -> None:
        """Closes the part that is open."""
        self._close_part()
        super().close()

    def _close_part(self) -> None:
        if self._open_file is not None:
            self._open_file.close()
            self._open_file, self._open_index = None, -1


def group_parts(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Finds out which files are parts of one archive.

    Args:
        files: Archives and parts of archives.

    Returns:
        The files of each archive in order, under the archive's name.
    """
    groups: dict[str, list[tuple[int, str, Path]]] = {}
    for file in files:
        match = _PART.fullmatch(file.name)
        place = (match["named"] or match["numbered"]) if match else ""
        # Longer places come later: part 10 follows part 9.
        groups.setdefault(match["archive"] if match else file.name, []).append((len(place), place, file))
    return {name: [file for _, _, file in sorted(group)] for name, group in sorted(groups.items())}


def extract_videos(parts: Sequence[Path], target: Path) -> list[Path]:
    """Extracts the videos of an archive; files of other kinds are left out and counted in the log.

    All members are examined before anything is written. A file that is there with the right size stays, so that
    an interrupted extraction goes on.

    Args:
        parts: The archive, or its parts in order.
        target: Folder to extract to.

    Returns:
        The video files, in the order of the archive.

    Raises:
        UnsafeArchiveError: A member's name is absolute or leads upwards, or a member is a link or a device.
        ValueError: The file is neither zip nor tar, or is damaged.
    """
    name = parts[0]
    try:
        with _open_archive(parts) as archive:
            members = list(_safe_members(archive, name))
            videos = [member for member in members if _is_video(member.path)]
            if len(videos) < len(members):
                logger.info("%s: %d members that are no videos are left out", name, len(members) - len(videos))
            extracted = []
            for member in tqdm(videos, desc=f"extracting {name.name}", unit="file", disable=None):
                path = target / member.path
                extracted.append(path)
                if path.is_file() and path.stat().st_size == member.size:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = path.with_name(f".{path.name}.part")
                with _open_member(archive, member) as source, unfinished.open("wb") as file:
                    shutil.copyfileobj(source, file, 1024 * 1024)
                unfinished.replace(path)
            return extracted
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ValueError(f"{name}: damaged archive, or neither zip nor tar: {error}") from error


@contextmanager
def _open_archive(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    with io.BufferedReader(JoinedParts(parts), 1024 * 1024) as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                yield archive
        else:
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:*") as archive:
                yield archive


def _open_member(archive: zipfile.ZipFile | tarfile.TarFile, member: ArchiveMember) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        assert isinstance(member.entry, zipfile.ZipInfo)  # noqa: S101 - made by the same archive
        return archive.open(member.entry)
    assert isinstance(member.entry, tarfile.TarInfo)  # noqa: S101 - made by the same archive
    file = archive.extractfile(member.entry)
    assert file is not None  # noqa: S101 - only plain files are members
    return file


def _safe_members(archive: zipfile.ZipFile | tarfile.TarFile, name: Path) -> Iterator[ArchiveMember]:
    if isinstance(archive, zipfile.ZipFile):
        for entry in archive.infolist():
            path = _safe_path(name, entry.filename)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeArchiveError(name, entry.filename, "it is a link or a device")
            if not entry.is_dir():
                yield ArchiveMember(path, entry.file_size, entry)
        return
    for info in archive.getmembers():
        path = _safe_path(name, info.name)
        if not info.isreg() and not info.isdir():
            raise UnsafeArchiveError(name, info.name, "it is a link or a device")
        if info.isreg():
            yield ArchiveMember(path, info.size, info)
    # `tarfile` takes an archive that breaks off for one that ends there.
    assert archive.fileobj is not None  # noqa: S101 - opened from one
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off, so it or one of its parts is incomplete")


def _safe_path(archive: Path, member: str) -> PurePosixPath:
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or re.match(r"[A-Za-z]:", member):
        raise UnsafeArchiveError(archive, member, "its name is absolute")
    if ".." in path.parts:
        raise UnsafeArchiveError(archive, member, "its name leads out of the folder")
    return path


def _is_video(path: PurePosixPath) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in VIDEO_EXTENSIONS and not hidden
