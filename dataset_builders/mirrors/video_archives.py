"""Extracts videos from zip and tar archives, whole or in parts, and nothing outside the target folder."""

import bz2
import gzip
import io
import logging
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm.auto import tqdm

from ..video_files import VIDEO_EXTENSIONS
from .archive_parts import JoinedParts

logger = logging.getLogger(__name__)

# Videos hardly compress; what grows more than this is made to fill a disk.
MAX_GROWTH = 100
# What any archive may grow to.
MIN_LIMIT = 64 * 2**20
# The longest header of a member that is read into memory.
_MAX_READ = 16 * 2**20
_CHUNK = 2**20
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED = 0x1
# What the standard library's readers of archives raise over damage.
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError),
    *(NotImplementedError, RuntimeError, OverflowError, MemoryError),
)


class ArchiveError(ValueError):
    """An archive that cannot be extracted.

    Attributes:
        archive: The archive.
        reason: What is wrong with it.
    """

    def __init__(self, archive: str | Path, reason: str) -> None:
        self.archive = Path(archive)
        self.reason = reason
        super().__init__(f"{archive}: {reason}")


class UnsafeArchiveError(ArchiveError):
    """An archive with a member that would be written outside the target folder, or that is no plain file.

    Attributes:
        member: Name of the member.
    """

    def __init__(self, archive: str | Path, member: str, reason: str) -> None:
        self.member = member
        super().__init__(archive, f"member {member!r} is refused, for {reason}; nothing was extracted")


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
        ArchiveError: The file is neither zip nor tar, is damaged or encrypted, has two videos of one name, or grows to
            more than 64 MiB and 100 times its own size.
        OSError: A video cannot be written.
    """
    name = parts[0]
    with _open_archive(parts) as archive:
        with _damage(name):
            members = list(_safe_members(archive, name, sum(part.stat().st_size for part in parts)))
        videos = [member for member in members if _is_video(member.path)]
        if len(videos) < len(members):
            logger.info("%s: %d members that are no videos are left out", name, len(members) - len(videos))
        _check_distinct(name, videos)
        extracted = []
        for member in tqdm(videos, desc=f"extracting {name.name}", unit="file", disable=None):
            path = target / member.path
            extracted.append(path)
            if path.is_file() and path.stat().st_size == member.size:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.part")
            try:
                with unfinished.open("wb") as file:
                    for chunk in _content(archive, name, member):
                        file.write(chunk)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        return extracted


@contextmanager
def _damage(name: Path, member: str = "") -> Iterator[None]:
    """Turns what the standard library's readers raise into an `ArchiveError`."""
    try:
        yield
    except ArchiveError:
        raise
    except _DAMAGE as error:
        where = f"member {member!r} of a damaged archive" if member else "damaged archive, or neither zip nor tar"
        raise ArchiveError(name, f"{where}: {error or type(error).__name__}") from error


@contextmanager
def _open_archive(parts: Sequence[Path]) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    with io.BufferedReader(JoinedParts(parts), _CHUNK) as file:
        with _damage(parts[0]):
            archive = _opened(file)
        with archive:
            yield archive


def _opened(file: Any) -> zipfile.ZipFile | tarfile.TarFile:
    if zipfile.is_zipfile(file):
        return zipfile.ZipFile(file)
    file.seek(0)
    start = file.read(6)
    file.seek(0)
    content = file
    if start.startswith(b"\x1f\x8b"):
        content = gzip.GzipFile(fileobj=file)
    elif start.startswith(b"BZh"):
        content = bz2.BZ2File(file)
    elif start == b"\xfd7zXZ\x00":
        content = lzma.LZMAFile(file)  # noqa: SIM115 - as long as the archive
    return tarfile.open(fileobj=_BoundedReader(content), mode="r:")


class _BoundedReader(io.BufferedIOBase):
    """A file of which not everything can be read at once: a tar's header is read whole, however long it says it is."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError(f"it has a header of {size} bytes, more than {_MAX_READ}")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _content(archive: zipfile.ZipFile | tarfile.TarFile, name: Path, member: ArchiveMember) -> Iterator[bytes]:
    """The content of a member in chunks.

    Raises:
        ArchiveError: It is damaged.
    """
    with _damage(name, str(member.path)):
        source = _open_member(archive, member)
    with source:
        left = member.size
        while left:
            with _damage(name, str(member.path)):
                chunk = source.read(min(left, _CHUNK))
                if not chunk:
                    raise EOFError("it ends early")
            left -= len(chunk)
            yield chunk
        with _damage(name, str(member.path)):
            # Only at its end a member's checksum is compared.
            source.read(1)


def _open_member(archive: zipfile.ZipFile | tarfile.TarFile, member: ArchiveMember) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        assert isinstance(member.entry, zipfile.ZipInfo)  # noqa: S101 - made by the same archive
        return archive.open(member.entry)
    assert isinstance(member.entry, tarfile.TarInfo)  # noqa: S101 - made by the same archive
    file = archive.extractfile(member.entry)
    assert file is not None  # noqa: S101 - only plain files are members
    return file


def _safe_members(
    archive: zipfile.ZipFile | tarfile.TarFile, name: Path, archive_size: int
) -> Iterator[ArchiveMember]:
    limit = max(MIN_LIMIT, MAX_GROWTH * archive_size)
    total = 0
    for member in _zip_members(archive, name) if isinstance(archive, zipfile.ZipFile) else _tar_members(archive, name):
        total += member.size
        if total > limit:
            raise ArchiveError(
                name,
                f"its {archive_size} bytes would become more than {limit}, which is the limit ({MIN_LIMIT} bytes or "
                f"{MAX_GROWTH} times its size); nothing was extracted",
            )
        yield member


def _zip_members(archive: zipfile.ZipFile, name: Path) -> Iterator[ArchiveMember]:
    for entry in archive.infolist():
        path = _safe_path(name, entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafeArchiveError(name, entry.filename, "it is a link or a device")
        if entry.flag_bits & _ENCRYPTED:
            raise ArchiveError(name, f"member {entry.filename!r} is encrypted; extract it with its password")
        if entry.compress_type not in _COMPRESSIONS:
            raise ArchiveError(
                name,
                f"member {entry.filename!r} is compressed by method {entry.compress_type}, which Python cannot read; "
                "extract it with another program",
            )
        if not entry.is_dir():
            yield ArchiveMember(path, entry.file_size, entry)


def _tar_members(archive: tarfile.TarFile, name: Path) -> Iterator[ArchiveMember]:
    for info in archive:
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
    # Only at the end of what is compressed its checksum is compared.
    for _ in range(MIN_LIMIT // _CHUNK):
        if not archive.fileobj.read(_CHUNK):
            return
    raise tarfile.ReadError(f"more than {MIN_LIMIT} bytes follow its end")


def _check_distinct(name: Path, members: Iterable[ArchiveMember]) -> None:
    """Checks that no video is written in place of another one.

    Raises:
        ArchiveError: Two have one name, or one has the name of a folder of another.
    """
    paths: set[PurePosixPath] = set()
    for member in members:
        if member.path in paths:
            raise ArchiveError(name, f"two members are named {str(member.path)!r}; nothing was extracted")
        paths.add(member.path)
    for path in paths:
        if taken := paths.intersection(path.parents):
            raise ArchiveError(name, f"{str(taken.pop())!r} is a video and a folder; nothing was extracted")


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
