"""The record of a table's last commit, in a file of its own: its version, its rows, and a digest of every file.

Lance checks no digests: of a flipped bit in its files it notices some, and a flipped length makes it panic or ask for
all memory. Its files never change once they are written, so each is compared with its digest before Lance reads it. A
latest version that is gone is noticed too, since the record is not among Lance's own files.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import xxhash
from filelock import FileLock

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.storage import TABLE_NAME, is_remote

logger = logging.getLogger(__name__)

RECORD_FILE = "commits.json"
"""Of the videos; other tables of an index have one of their own."""

_LOCK_FILE = "commits.lock"
_PATTERNS = ("data/*.lance", "_deletions/*", "_versions/*.manifest")
_REPAIR = "`video-colbert repair` goes back to the last version that reads"
_CHUNK_BYTES = 8 * 2**20
# Data files are compared as a whole when an index is opened while they are no larger than this together, which takes a
# second or so from the page cache. `verify-index` compares them all.
_MOST_BYTES_AT_OPENING = 4 * 2**30


@dataclass(frozen=True)
class CommitRecord:
    """What is recorded of the last commit.

    Attributes:
        version: its number.
        rows: what the table held then, such as videos.
        files: by path in the index's folder, the size in bytes and the digest.
    """

    version: int
    rows: int
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)


class CommitLog:
    """The record of one table; an index in object storage, whose service keeps digests itself, has none.

    Args:
        location: folder or address of the index.
        table: name of the table.

    Attributes:
        file_name: of the record in the index's folder.
    """

    def __init__(self, location: str, table: str = TABLE_NAME) -> None:
        self._location = location
        self._table = table
        self.file_name = RECORD_FILE if table == TABLE_NAME else f"{table}_{RECORD_FILE}"
        self._folder = None if is_remote(location) else Path(location)
        # Files that this process compared, as they were then.
        self._compared: dict[str, tuple[int, int]] = {}

    def read(self) -> CommitRecord | None:
        """The record; None where there is none, as in an index of an earlier release.

        Raises:
            IndexStoreError: it is damaged.
        """
        if self._folder is None:
            return None
        try:
            stored = json.loads((self._folder / self.file_name).read_bytes())
            if stored["digest"] != _digest_of(stored["commit"]):
                raise ValueError("another digest")
            commit = stored["commit"]
            files = {path: (size, digest) for path, (size, digest) in commit["files"].items()}
            return CommitRecord(commit["version"], commit["rows"], files)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexStoreError(f"{self._location} is damaged: {self.file_name} is not what was written") from error

    def write(self, version: int, rows: int) -> None:
        """Records a commit, unless a later one is recorded; a failure is logged, for the commit stands.

        Args:
            version: of the commit.
            rows: what the table holds then.
        """
        if self._folder is None:
            return
        try:
            with self._locked():
                self._write(version, rows)
        except (OSError, IndexStoreError) as error:
            logger.warning("The last commit was not recorded: %s", error)

    def rewrite(self, version: int, rows: int) -> None:
        """Records a version anew, with digests of the files as they are now.

        Raises:
            IndexStoreError: the record cannot be written.
        """
        if self._folder is None:
            return
        try:
            with self._locked():
                (self._folder / self.file_name).unlink(missing_ok=True)
                self._write(version, rows)
        except OSError as error:
            raise IndexStoreError(f"{self._location}/{self.file_name} cannot be written ({error.strerror})") from error

    def forget(self) -> None:
        """Deletes the record, of a table that is gone.

        Raises:
            IndexStoreError: it cannot be deleted.
        """
        if self._folder is None:
            return
        try:
            with self._locked():
                (self._folder / self.file_name).unlink(missing_ok=True)
        except OSError as error:
            raise IndexStoreError(f"{self._location}/{self.file_name} cannot be deleted ({error.strerror})") from error

    def check_version(self, record: CommitRecord | None, version: int) -> None:
        """Checks that the latest version is the recorded one, or a later one.

        Args:
            record: as it was read before the latest version was asked for.
            version: the latest version.

        Raises:
            IndexStoreError: later versions are gone.
        """
        if record is not None and version < record.version:
            raise IndexStoreError(
                f"{self._location} is damaged: its last commit, version {record.version} with {record.rows} "
                f"{self._table}, is gone, and the latest that is there is version {version}; {_REPAIR}"
            )

    def check_rows(self, version: int, rows: int) -> None:
        """Checks the number of rows of a version, if it is the recorded one.

        Raises:
            IndexStoreError: there are more or fewer.
        """
        record = self.read()
        if record is not None and record.version == version and record.rows != rows:
            raise IndexStoreError(
                f"{self._location} is damaged: version {version} has {rows} {self._table} and not {record.rows}; "
                f"{_REPAIR}"
            )

    def check_manifest(self, record: CommitRecord | None) -> None:
        """Checks the file that describes the recorded version.

        Raises:
            IndexStoreError: it is not what was written.
        """
        if record is not None:
            name = f"{2**64 - 1 - record.version}.manifest"
            self._check([path for path in record.files if path.endswith(name)], record)

    def check_data(self) -> None:
        """Checks the files that hold rows, while they are not too large for that.

        Raises:
            IndexStoreError: one is not what was written.
        """
        record = self.read()
        if record is None:
            return
        paths = [path for path in record.files if not path.endswith(".manifest")]
        if sum(record.files[path][0] for path in paths) <= _MOST_BYTES_AT_OPENING:
            self._check(paths, record)

    def check_all(self) -> CommitRecord | None:
        """Checks every recorded file that is there, however large; gives the record.

        Raises:
            IndexStoreError: one is not what was written, or the record itself is damaged.
        """
        record = self.read()
        if record is not None:
            self._check(list(record.files), record)
        return record

    def damaged_files(self) -> list[str]:
        """All recorded files that are there and not what was written, by their path in the index's folder.

        Raises:
            IndexStoreError: the record itself is damaged.
        """
        record = self.read()
        return [] if record is None else [path for path in record.files if not self._is_whole(path, record)]

    def _check(self, paths: list[str], record: CommitRecord) -> None:
        if damaged := self._damage_of([path for path in paths if not self._is_whole(path, record)], record):
            raise IndexStoreError(f"{self._location} is damaged: {damaged}; {_REPAIR}")

    def _damage_of(self, paths: Sequence[str], record: CommitRecord) -> str:
        """What is wrong with files that are not what was written; empty for no files."""
        assert self._folder is not None  # noqa: S101 - there is a record
        sizes = {path: (self._folder / path).stat().st_size for path in paths}
        return ", ".join(
            f"{path} {'is truncated' if size < record.files[path][0] else 'is not what was written'}"
            for path, size in sizes.items()
        )

    def _is_whole(self, path: str, record: CommitRecord) -> bool:
        """Whether a recorded file is as it was written; of one that is gone, Lance says so if it is needed."""
        assert self._folder is not None  # noqa: S101 - there is a record
        file = self._folder / path
        try:
            status = file.stat()
            seen = (status.st_size, status.st_mtime_ns)
            if self._compared.get(path) != seen:
                if (status.st_size, _file_digest(file)) != record.files[path]:
                    return False
                self._compared[path] = seen
        except FileNotFoundError:
            return True
        except OSError as error:
            raise IndexStoreError(f"{file} cannot be read ({error.strerror})") from error
        return True

    def _write(self, version: int, rows: int) -> None:
        assert self._folder is not None  # noqa: S101 - asked by the callers
        earlier = self.read()
        known = {} if earlier is None else earlier.files
        files = {}
        for file in sorted(found for pattern in _PATTERNS for found in self._table_files(pattern)):
            path = file.relative_to(self._folder).as_posix()
            try:
                files[path] = known.get(path) or (file.stat().st_size, _file_digest(file))
            except FileNotFoundError:
                # Another process cleaned up.
                continue
        if earlier is not None and earlier.version > version:
            version, rows = earlier.version, earlier.rows
        commit = {"version": version, "rows": rows, "files": files}
        temporary = self._folder / f"{self.file_name}.new"
        temporary.write_text(json.dumps({"commit": commit, "digest": _digest_of(commit)}), encoding="utf-8")
        temporary.replace(self._folder / self.file_name)

    def _table_files(self, pattern: str) -> Iterator[Path]:
        assert self._folder is not None  # noqa: S101 - asked by the callers
        return self._folder.glob(f"{self._table}.lance/{pattern}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time writes the record."""
        assert self._folder is not None  # noqa: S101 - asked by the callers
        with FileLock(self._folder / _LOCK_FILE):
            yield


def _file_digest(file: Path) -> str:
    digest = xxhash.xxh3_128()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _digest_of(commit: object) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(commit, sort_keys=True).encode())
