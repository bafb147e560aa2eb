"""The folder of an index's mapped tokens: files that are derived from the table and may be deleted at any time.

Tokens are appended to one file a level, and to another one as int8, where this processor compares those fastest; then
the list of what they hold is written as a whole (`mapped_rows.py`).
Files that nothing can be added to, or that hold much that was removed, are followed by those of another generation.
Readers go on with what they have mapped, whatever becomes of the names.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from video_colbert.cache_folder import cache_folder
from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.mapped.mapped_rows import Keys, LevelRows, MappedRows, QuantizedRows
from video_colbert.index.lance.mapped.mapped_tokens import (
    MappedTokens,
    bytes_of,
    copies_file,
    digests_of,
    tokens_file,
)
from video_colbert.index.lance.storage import TABLE_NAME, is_remote
from video_colbert.progress import progress_bar

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.index.search.level_bags import LevelBags
    from video_colbert.index.search.token_bags import TokenBags

ReadBags: TypeAlias = "Callable[[Tensor], LevelBags]"
"""Gives the bags of rows of the table, as they are stored."""

FOLDER = "_tokens"
"""Name of the folder in an index's folder."""

COPY_FORMAT = "int8"
"""The number format of the copies, by its name in `number_formats.py`."""

_LIST_FILE = "rows"
_LOCK_FILE = "lock"
# Another process may be making files of many gigabytes. A search does not wait for that.
_SECONDS_OF_WAITING = 60.0
# Of all videos in the files, those that were removed, before the files are made anew.
_MOST_REMOVED = 0.25
# Videos whose tokens are read from the table at once.
_READ_AT_ONCE = 2048


def token_folder(location: str, table: str = TABLE_NAME) -> Path | None:
    """Where the mapped tokens of a table are; None for an index in memory.

    Args:
        location: folder, or address in object storage, whose files are in the user's cache folder.
        table: name of the table.
    """
    other = "" if table == TABLE_NAME else f"_{table}"
    if not is_remote(location):
        return Path(location) / f"{FOLDER}{other}"
    if location.startswith("memory://"):
        return None
    return cache_folder() / "tokens" / hashlib.sha256(f"{location}{other}".encode()).hexdigest()[:20]


def discard_tokens(location: str, table: str = TABLE_NAME) -> None:
    """Deletes the mapped tokens of a table, which the next search that wants them makes again.

    Raises:
        IndexStoreError: they cannot be deleted.
    """
    folder = token_folder(location, table)
    try:
        if folder is not None:
            TokenFiles(folder).discard(waits=True)
    except OSError as error:
        raise IndexStoreError(f"the files in {folder} cannot be deleted ({error.strerror or error})") from error


class TokenFiles:
    """The mapped tokens of one index.

    Args:
        folder: where they are; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, empty: LevelBags) -> MappedRows | None:
        """What the files hold; None where there are none, or none with tokens of this kind.

        Args:
            empty: bags of no videos, with tokens as they are stored.

        Raises:
            OSError: the list cannot be read.
        """
        rows = MappedRows.read(self.folder / _LIST_FILE)
        return rows if rows is not None and dict(rows.layout) == _layout(empty) else None

    def map(self, rows: MappedRows, empty: LevelBags) -> MappedTokens:
        """Maps the files.

        Raises:
            FileNotFoundError: they were replaced meanwhile.
            DamagedTokensError: they are too short.
            OSError: they cannot be mapped.
        """
        return MappedTokens(self.folder, rows, empty)

    def is_enough(self, rows: MappedRows | None, keys: Keys, version: int) -> bool:
        """Whether files hold all videos of a version, and of removed ones not too many."""
        if rows is None or not np.isin(keys, rows.keys).all():
            return False
        # What a later version added counts as removed in an earlier one, whose readers must not take it away.
        return version < rows.version or len(rows.keys) - len(keys) <= _MOST_REMOVED * len(rows.keys)

    def extend(self, keys: Keys, version: int, empty: LevelBags, read: ReadBags) -> MappedRows:
        """Adds what the files lack of a version, or makes files of the next generation.

        Args:
            keys: of the version's videos, each once.
            version: its number.
            empty: bags of no videos, with tokens as they are stored.
            read: gives the stored bags of some of the version's rows.

        Raises:
            Timeout: another process is at it.
            OSError: they cannot be written; what was there before is kept.
            IndexStoreError: the table cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            # Another process may just have done it.
            held = self.read(empty)
            if held is not None and self.is_enough(held, keys, version) and self._is_long_enough(held, empty):
                return held
            # What a killed writer left would keep its place on the disk.
            self._delete_all_but("" if held is None else held.generation)
            held = self._to_go_on_with(held, keys, empty)
            missing = np.flatnonzero(~np.isin(keys, held.keys))
            try:
                added = self._append(held, missing, empty, read)
                levels = {level: LevelRows.concatenate([rows, *added[level]]) for level, rows in held.levels.items()}
                rows = MappedRows(
                    held.generation,
                    held.layout,
                    max(version, held.version),
                    np.concatenate([held.keys, keys[missing]]),
                    levels,
                )
                rows.write(self.folder / _LIST_FILE)
            except BaseException:
                self._take_back(held, empty)
                raise
            self._delete_all_but(rows.generation)
            return rows

    def discard(self, generation: str | None = None, *, waits: bool = False) -> None:
        """Deletes the files.

        Args:
            generation: only if they are of this one.
            waits: whether to wait for a while for another process that is at work on them.

        Raises:
            Timeout: another process is at work on them.
            OSError: they cannot be deleted.
        """
        if not self.folder.is_dir():
            return
        with self._locked(_SECONDS_OF_WAITING if waits else 0.0):
            rows = MappedRows.read(self.folder / _LIST_FILE)
            if generation is None or (rows is not None and rows.generation == generation):
                for file in self.folder.iterdir():
                    if file.name != _LOCK_FILE:
                        file.unlink(missing_ok=True)

    def _to_go_on_with(self, held: MappedRows | None, keys: Keys, empty: LevelBags) -> MappedRows:
        """What is there, if it can be added to and little of it was removed; else an empty generation."""
        if held is not None and self._is_long_enough(held, empty):
            removed = int((~np.isin(held.keys, keys)).sum())
            if removed <= _MOST_REMOVED * (removed + len(keys)):
                return held
        nothing = _no_rows(has_copies=_wants_copies(empty))
        return MappedRows(
            uuid.uuid4().hex[:12], _layout(empty), 0, np.zeros(0, np.uint64), dict.fromkeys(empty, nothing)
        )

    def _is_long_enough(self, rows: MappedRows, empty: LevelBags) -> bool:
        return all(file.is_file() and file.stat().st_size >= size for file, size in self._sizes(rows, empty).items())

    def _sizes(self, rows: MappedRows, empty: LevelBags) -> dict[Path, int]:
        """The files, and how many bytes of each count."""
        sizes = {}
        for level, bags in empty.items():
            numbers = int(rows.levels[level].offsets[-1]) * bags.dimension
            sizes[tokens_file(self.folder, rows.generation, level)] = numbers * bags.tokens.element_size()
            if rows.has_copies:
                sizes[copies_file(self.folder, rows.generation, level)] = numbers
        return sizes

    def _append(
        self, held: MappedRows, rows: npt.NDArray[np.int64], empty: LevelBags, read: ReadBags
    ) -> dict[str, list[LevelRows]]:
        """Writes the tokens of some rows of the table behind those that are held; gives what they are, in parts."""
        import torch

        added: dict[str, list[LevelRows]] = {level: [] for level in empty}
        with ExitStack() as stack:
            files = {}
            for path, size in self._sizes(held, empty).items():
                files[path] = stack.enter_context(path.open("r+b" if len(held.keys) else "wb", buffering=0))
                # A writer that was killed may have left more; nobody has mapped that.
                files[path].truncate(size)
                files[path].seek(size)
            parts = torch.split(torch.from_numpy(rows), _READ_AT_ONCE)
            for part in progress_bar(parts, desc="Mapping tokens", unit="part", leave=False):
                for level, bags in (read(part) if len(part) else empty).items():
                    _write_all(files[tokens_file(self.folder, held.generation, level)], bags.tokens)
                    copies = None
                    if held.has_copies:
                        values, copies = _quantized(bags)
                        _write_all(files[copies_file(self.folder, held.generation, level)], values)
                    digests = digests_of(bags.tokens, bags.offsets)
                    added[level].append(LevelRows(bags.lengths.numpy(), digests, copies))
        return added

    def _take_back(self, held: MappedRows, empty: LevelBags) -> None:
        """Gives up what was written behind the tokens that are held: the disk may be full."""
        with suppress(OSError):
            listed = self.read(empty)
            if listed is not None and listed.generation == held.generation and len(listed.keys) > len(held.keys):
                # An interruption came after the list was replaced, and readers may have mapped what it names.
                return
        for path, size in self._sizes(held, empty).items():
            with suppress(OSError):
                if len(held.keys):
                    os.truncate(path, size)
                else:
                    path.unlink()

    def _delete_all_but(self, generation: str) -> None:
        """Deletes the files of other generations, and what killed writers left."""
        for file in self.folder.iterdir():
            if file.name not in (_LIST_FILE, _LOCK_FILE) and file.name.partition(".")[0] != generation:
                # Some systems keep what is mapped; the next writer tries again.
                with suppress(OSError):
                    file.unlink()

    @contextmanager
    def _locked(self, seconds: float = 0.0) -> Iterator[None]:
        """One process at a time writes; the others wait for so long."""
        with FileLock(self.folder / _LOCK_FILE, timeout=seconds):
            yield


def _write_all(file: FileIO, tokens: Tensor) -> None:
    """Writes tokens without a buffer; less than all may be written at once, as on a full disk."""
    left = bytes_of(tokens)
    while left:
        left = left[file.write(left) :]


def _wants_copies(empty: LevelBags) -> bool:
    """Whether int8 copies are worth their bytes: of float16 tokens, where the processor compares int8 fastest."""
    import torch

    from video_colbert.index.search.number_formats import fastest_format

    if any(bags.tokens.dtype != torch.float16 for bags in empty.values()):
        return False
    return fastest_format(torch.device("cpu")).name == COPY_FORMAT


def _quantized(bags: TokenBags) -> tuple[Tensor, QuantizedRows]:
    """The int8 values of bags [total, D], and what is known of them."""
    import torch

    from video_colbert.index.search.number_formats import number_format
    from video_colbert.index.search.quantized_bags import StoredBags

    stored = StoredBags.of(bags, number_format(COPY_FORMAT), torch.device("cpu"))
    assert stored.scales is not None  # noqa: S101 - int8 has them
    bounds = torch.stack([stored.scales, stored.norms, stored.losses, torch.zeros(len(stored))], dim=1)
    return stored.values, QuantizedRows(digests_of(stored.values, stored.offsets), bounds.numpy())


def _no_rows(*, has_copies: bool) -> LevelRows:
    no_digests = np.zeros(0, np.uint64)
    copies = QuantizedRows(no_digests, np.zeros((0, 4), np.float32)) if has_copies else None
    return LevelRows(np.zeros(0, np.int64), no_digests, copies)


def _layout(empty: LevelBags) -> dict[str, str]:
    return {level: f"{bags.tokens.dtype} {bags.dimension}" for level, bags in empty.items()}
