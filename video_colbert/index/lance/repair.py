"""Verification of an index by reading all of it, and repair of a damaged one by going back to a version that reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.commit_record import CommitLog
from video_colbert.index.lance.passages.passage_table import TABLE_NAME as PASSAGES
from video_colbert.index.lance.passages.reading_table import TABLE_NAME as READINGS
from video_colbert.index.lance.passages.reading_table import read_all_readings
from video_colbert.index.lance.schema import read_header
from video_colbert.index.lance.snapshot import IndexSnapshot
from video_colbert.index.lance.storage import TABLE_NAME, has_table, is_remote
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import token_codec

SET_ASIDE = "set_aside"
"""Folder in an index's folder that takes the descriptions of versions that do not read."""

_TryLatest = Callable[[str], tuple[int, int] | None]
# Videos whose tokens are read at once.
_READ_AT_ONCE = 2048


@dataclass(frozen=True)
class VerifiedIndex:
    """What was found of a whole index.

    Attributes:
        version: the latest.
        videos: how many it holds; the tokens of each were read.
        has_digests: whether its files were compared with digests; not in object storage, nor in an index that was
            last written by an earlier release.
        readings: how often something was read of a content; all of them were looked at.
        passages: how many passages it holds; the tokens of each were read.
    """

    version: int
    videos: int
    has_digests: bool
    readings: int = 0
    passages: int = 0


@dataclass(frozen=True)
class RepairedIndex:
    """What a repair did.

    Attributes:
        version: the latest version now.
        videos: how many it holds.
        set_aside: what was moved to `SET_ASIDE`: the files that describe later versions, and the table of what was
            read of the videos where no version of it reads; none for a whole index.
        readings: how often something was read of a content, as far as that is there.
        passages: how many passages it holds.
    """

    version: int
    videos: int
    set_aside: tuple[str, ...]
    readings: int = 0
    passages: int = 0


def verify_index(location: str | os.PathLike[str]) -> VerifiedIndex:
    """Reads all of an index and compares its files with their digests.

    Args:
        location: its folder, or its address in object storage.

    Raises:
        IndexStoreError: there is no index, or it is damaged; the message names the files.
    """
    address = os.fspath(location)
    if not has_table(address):
        raise IndexStoreError(f"there is no index in {address}")
    record = CommitLog(address).check_all()
    for table in (READINGS, PASSAGES):
        CommitLog(address, table).check_all()
    version, videos = _read_latest(address)
    _, readings = read_all_readings(LanceTable.open(address))
    _, passages = _read_passages(address)
    return VerifiedIndex(version, videos, record is not None, readings, passages)


def repair_index(location: str | os.PathLike[str]) -> RepairedIndex:
    """Goes back to the last version that reads, if that is not the latest one.

    The files that describe later versions are moved into the folder `set_aside` of the index, and nothing is deleted.
    What later versions added is to be indexed again.

    Args:
        location: the folder of an index.

    Raises:
        IndexStoreError: the location is no folder or has no index, or no version that holds videos reads.
    """
    address = os.fspath(location)
    if is_remote(address):
        raise IndexStoreError(f"{address} is in object storage; repair a copy of it in a folder")
    if not has_table(address):
        raise IndexStoreError(f"there is no index in {address}")
    found, moved = _go_back(address, TABLE_NAME, _try_latest)
    if found is None or (moved and not found[1]):
        _put_back(moved)
        raise IndexStoreError(
            f"no version of the index in {address} that holds videos can be read; index the videos again"
        )
    set_aside = [manifest.name for manifest, _ in moved]
    set_aside += _repair_beside(address, READINGS, _try_readings)
    set_aside += _repair_beside(address, PASSAGES, _try_passages)
    _, readings = read_all_readings(LanceTable.open(address, is_checked=False))
    _, passages = _read_passages(address, is_checked=False)
    return RepairedIndex(*found, tuple(set_aside), readings, passages)


def counted_texts(found: VerifiedIndex | RepairedIndex) -> str:
    """What was read of the videos in words, to stand behind their number; nothing where nothing was read.

    Example:
        >>> counted_texts(VerifiedIndex(4, 2, True, readings=3, passages=7))
        ', 3 readings and 7 passages of them'
    """
    if not found.readings and not found.passages:
        return ""
    return f", {found.readings} readings and {found.passages} passages of them"


def delete_set_aside(location: str) -> None:
    """Deletes what a repair moved to `SET_ASIDE`, for where the versions that it describes are gone.

    Args:
        location: the folder of an index; an address in object storage, which is never repaired, has none.
    """
    if not is_remote(location):
        shutil.rmtree(Path(location) / SET_ASIDE, ignore_errors=True)


def _go_back(
    address: str, table: str, try_latest: _TryLatest
) -> tuple[tuple[int, int] | None, list[tuple[Path, Path]]]:
    """Sets versions of a table aside until one reads; its number and rows, and what was moved from where to where.

    Raises:
        IndexStoreError: files cannot be moved; they are put back.
    """
    versions = Path(address) / f"{table}.lance" / "_versions"
    aside = Path(address) / SET_ASIDE
    log = CommitLog(address, table)
    damaged = _damaged_files(log)
    moved: list[tuple[Path, Path]] = []
    try:
        while manifest := max(versions.glob("*.manifest"), key=_version_of, default=None):
            content = manifest.read_bytes()
            is_hurt = any(Path(name).name.encode() in content or name.endswith(manifest.name) for name in damaged)
            found = None if is_hurt else try_latest(address)
            if found is not None:
                if not moved or found[1] or table != TABLE_NAME:
                    log.rewrite(*found)
                return found, moved
            aside.mkdir(exist_ok=True)
            moved.append((manifest, aside / f"{'' if table == TABLE_NAME else f'{table}_'}{manifest.name}"))
            manifest.rename(moved[-1][1])
            # It names the latest version, and is made again.
            (versions / "latest_version_hint.json").unlink(missing_ok=True)
    except OSError as error:
        _put_back(moved)
        raise IndexStoreError(f"{error.filename or address} cannot be moved ({error.strerror})") from error
    return None, moved


def _repair_beside(address: str, table: str, try_latest: _TryLatest) -> list[str]:
    """Goes back to a version that reads of what was read of the videos, or does without; what was set aside."""
    folder = Path(address) / f"{table}.lance"
    if not folder.is_dir():
        return []
    found, moved = _go_back(address, table, try_latest)
    if found is not None:
        return [aside.name for _, aside in moved]
    _put_back(moved)
    aside = Path(address) / SET_ASIDE
    try:
        aside.mkdir(exist_ok=True)
        folder.rename(aside / folder.name)
    except OSError as error:
        raise IndexStoreError(f"{folder} cannot be moved to {aside} ({error.strerror})") from error
    CommitLog(address, table).forget()
    return [folder.name]


def _try_readings(address: str) -> tuple[int, int] | None:
    try:
        return read_all_readings(LanceTable.open(address, is_checked=False))
    except IndexStoreError:
        return None


def _try_passages(address: str) -> tuple[int, int] | None:
    try:
        return _read_passages(address, is_checked=False)
    except IndexStoreError:
        return None


def _read_passages(address: str, *, is_checked: bool = True) -> tuple[int, int]:
    """As `_read_latest`, of the passages; 0 and 0 without a table of them."""
    table = LanceTable.open(address, is_checked=is_checked).beside(PASSAGES)
    return (0, 0) if table is None else _read_table(table)


def _damaged_files(log: CommitLog) -> list[str]:
    """The recorded files that are not what was written; none where the record itself is damaged."""
    try:
        return log.damaged_files()
    except IndexStoreError:
        return []


def _put_back(moved: list[tuple[Path, Path]]) -> None:
    for manifest, aside in moved:
        aside.rename(manifest)


def _try_latest(address: str) -> tuple[int, int] | None:
    try:
        return _read_latest(address, is_checked=False)
    except IndexStoreError:
        return None


def _read_latest(address: str, *, is_checked: bool = True) -> tuple[int, int]:
    """Reads the latest version as a whole; its number and its videos.

    Raises:
        IndexStoreError: something of it cannot be read, or a vector is not finite.
    """
    return _read_table(LanceTable.open(address, is_checked=is_checked))


def _read_table(table: LanceTable) -> tuple[int, int]:
    """Reads the latest version of a table of videos or passages as a whole; its number and its rows.

    Raises:
        IndexStoreError: something of it cannot be read, or a vector is not finite.
    """
    address = table.location
    codec = token_codec(read_header(table.schema, address).codec)
    version = table.latest_version()
    snapshot = IndexSnapshot(table.at_version(version), codec)
    if len(snapshot) and not torch.isfinite(snapshot.pooled()).all():
        raise IndexStoreError(f"{address} is damaged: a pooled vector is not finite")
    for first in range(0, len(snapshot), _READ_AT_ONCE):
        bags = snapshot.bags(torch.arange(first, min(first + _READ_AT_ONCE, len(snapshot))))
        if not all(torch.isfinite(of_level.tokens).all() for of_level in bags.values()):
            raise IndexStoreError(f"{address} is damaged: a token is not finite")
    return version, len(snapshot)


def _version_of(manifest: Path) -> int:
    """The version that a manifest describes; its name counts down from the largest number."""
    number = int(manifest.stem) if manifest.stem.isdecimal() else 0
    return 2**64 - 1 - number if number > 2**63 else number
