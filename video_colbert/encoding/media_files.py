"""The bytes of a media file, wherever it is: a local path, a URL, or object storage."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

# Of an object store the name says where: what pyarrow's file systems open.
_OBJECT_STORES = ("s3://", "gs://", "gcs://", "abfs://", "abfss://", "hdfs://")
_CHUNK_BYTES = 2**20

# Parameters of a URL that let whoever has it in: of signed addresses of object stores, and of servers.
_SIGNED_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-cos-")
_KEYS = frozenset(
    {"signature", "sig", "awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "key-pair-id"}
    | {"token", "access_token", "api_key", "apikey", "password"}
)
# The rest of a signature, whose names may mean something else where there is none.
_BESIDE_A_SIGNATURE = frozenset(
    {"expires", "policy"}
    | {"sv", "ss", "srt", "sr", "sp", "spr", "se", "st", "sip", "skoid", "sktid", "skt", "ske", "sks", "skv"}
)


def is_remote(source: str) -> bool:
    """Whether a source is a URL rather than a path of this machine."""
    return "://" in source


def public_name(source: str) -> str:
    """The name by which a source is stored and shown: an address without its user and what lets whoever has it in.

    Args:
        source: path or URL, such as a signed one.

    Returns:
        The source as given, where there is nothing to leave out; other parameters of a URL are kept.

    Example:
        >>> public_name("https://host/a.mp4?version=2&X-Amz-Signature=123")
        'https://host/a.mp4?version=2'
    """
    if not is_remote(source):
        return source
    scheme, _, rest = source.partition("://")
    place, mark, query = rest.partition("?")
    host, slash, path = place.partition("/")
    host = host.rpartition("@")[2]
    parameters = query.split("&") if mark else []
    names = {parameter.partition("=")[0].lower() for parameter in parameters}
    keys = _KEYS | (_BESIDE_A_SIGNATURE if names & {"sig", "signature"} else frozenset())
    kept = [
        parameter
        for parameter in parameters
        if not (name := parameter.partition("=")[0].lower()).startswith(_SIGNED_PREFIXES) and name not in keys
    ]
    return f"{scheme}://{host}{slash}{path}{'?' if kept else ''}{'&'.join(kept)}"


def is_gone(source: str) -> bool:
    """Whether there is no file at a path; of URLs and below folders that cannot be looked into it is not known: no."""
    if is_remote(source):
        return False
    try:
        Path(source).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    # A name with a null character is a ValueError.
    except (OSError, ValueError):
        return False
    return False


@dataclass(frozen=True)
class FileState:
    """What a file was when it was read.

    Attributes:
        digest: SHA-256 of its bytes, in hexadecimal.
        size: in bytes.
        modified: when it was changed last, in seconds since 1970 (UTC); None of a URL.
        frame_size: width and height of its frames as they are shown; None where nobody asked, or it does not tell.
    """

    digest: str
    size: int
    modified: float | None = None
    frame_size: tuple[int, int] | None = None


def state_of_empty(source: str) -> FileState | None:
    """What a local file without a byte is, which `open_media` refuses; None of any other."""
    try:
        found = None if is_remote(source) else Path(source).stat()
    except (OSError, ValueError):
        return None
    if found is None or found.st_size or not stat.S_ISREG(found.st_mode):
        return None
    return FileState(hashlib.sha256().hexdigest(), 0, found.st_mtime)


def read_state(source: str, file: str | BinaryIO) -> FileState:
    """Reads all of a file.

    Args:
        source: its path or URL.
        file: as `open_media` opened it.

    Raises:
        OSError: it cannot be read.
    """
    # The time comes first: of a file that is written meanwhile it is another one the next time.
    modified = None if is_remote(source) else Path(source).stat().st_mtime
    if isinstance(file, str):
        with Path(file).open("rb") as opened:
            return FileState(content_digest(opened), opened.tell(), modified)
    return FileState(content_digest(file), file.tell(), modified)


@contextmanager
def open_media(source: str) -> Iterator[str | BinaryIO]:
    """Makes a file's bytes reachable for as long as the context lasts.

    Args:
        source: a path, an `http(s)://` or `hf://` URL, or a URL of an object store that pyarrow knows.

    Yields:
        A local path, or a seekable binary file.

    Raises:
        VideoDecodingError: there is nothing to read there.
    """
    from video_colbert.processing.video_sources import PassingVideoError, open_source

    if not source.startswith(_OBJECT_STORES):
        with open_source(source) as file:
            yield file
        return
    from pyarrow.fs import FileSystem

    try:
        system, path = FileSystem.from_uri(source)
        opened = system.open_input_file(path)
    # OSError and ArrowException from stores, and ValueError, TypeError and more for odd addresses.
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise PassingVideoError(source, f"cannot be read: {reason}") from error
    with opened:
        yield cast(BinaryIO, opened)


def content_digest(file: str | BinaryIO) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Args:
        file: a local path, or a binary file, which is read from its start.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(file, str):
        with Path(file).open("rb") as opened:
            return content_digest(opened)
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
