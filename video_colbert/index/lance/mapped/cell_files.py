"""The folder of an index's cells: files that are derived from the table and may be deleted at any time.

The cells of one generation are found once. Videos that come later are put into them: their vectors are written anew,
all together in the order of cells, under another name, and then the list (`cell_list.py`) as a whole. Readers go on
with what they have mapped, whatever becomes of the names.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from filelock import FileLock
from safetensors.torch import load, save
from torch import Tensor

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.mapped.cell_cache import cell_folder
from video_colbert.index.lance.mapped.cell_list import CellList, ListedPart
from video_colbert.index.lance.mapped.mapped_part import cell_digests
from video_colbert.index.lance.mapped.mapped_rows import Keys
from video_colbert.index.lance.mapped.mapped_tokens import bytes_of
from video_colbert.index.lance.storage import TABLE_NAME
from video_colbert.index.search.cells.score_vectors import ScoreVectors
from video_colbert.index.search.cells.video_cells import cell_offsets, fit_cells, nearest_cells
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.progress import progress_bar

ReadFloats = Callable[[Tensor], LevelBags]
"""Gives the float16 bags of rows of a version."""

_LIST_FILE = "list"
_LOCK_FILE = "lock"
_CENTROIDS = "centroids"
_SECONDS_OF_WAITING = 60.0
# Videos whose tokens are read at once, and whose vectors are written at once.
_READ_AT_ONCE = 4096
_WRITTEN_AT_ONCE = 65536


def discard_cells(location: str, table: str = TABLE_NAME) -> None:
    """Deletes the cells of a table, which the next search that wants them makes again.

    Raises:
        IndexStoreError: they cannot be deleted.
    """
    folder = cell_folder(location, table)
    try:
        if folder is not None:
            CellFiles(folder).discard(waits=True)
    except OSError as error:
        raise IndexStoreError(f"the files in {folder} cannot be deleted ({error.strerror or error})") from error


class CellFiles:
    """The cells of one index.

    Args:
        folder: where they are; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, dimensions: Mapping[str, int]) -> CellList | None:
        """What the files hold; None where there are none, or none with these levels.

        Raises:
            OSError: the list cannot be read.
        """
        found = CellList.read(self.folder / _LIST_FILE)
        return found if found is not None and found.layout == _layout(dimensions) else None

    def fitted(self, listed: CellList) -> tuple[ScoreVectors, Tensor] | None:
        """What makes vectors, and centroids; None where their file is not what was written.

        Raises:
            FileNotFoundError: the files were replaced meanwhile.
            OSError: they cannot be read.
        """
        content = (self.folder / f"{listed.generation}.fitted").read_bytes()
        if xxhash.xxh3_128_hexdigest(content) != listed.fitted_digest:
            return None
        tensors = load(content)
        levels = [part.partition(":")[0] for part in listed.layout.split()]
        return ScoreVectors.of_tensors(tensors, levels), tensors[_CENTROIDS]

    def make(self, keys: Keys, version: int, dimensions: Mapping[str, int], read: ReadFloats) -> CellList:
        """Finds cells for the videos of a version, and makes files of the next generation.

        Args:
            keys: of the version's videos, each once.
            version: its number.
            dimensions: numbers of a token by level.
            read: gives the bags of some of the version's rows.

        Raises:
            Timeout: another process is making them.
            OSError: they cannot be written; what was there before is kept.
            IndexStoreError: the table cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            held = self.read(dimensions)
            # What a killed writer left would keep its place on the disk.
            self._delete_all_but(held)
            generation = uuid.uuid4().hex[:12]
            try:
                axes, centroids = fit_cells(len(keys), read)
                content = save({**axes.tensors(), _CENTROIDS: centroids})
                (self.folder / f"{generation}.fitted").write_bytes(content)
                base = self._write_part(f"{generation}.base", keys, axes, centroids, read)
                nothing = ListedPart(
                    "",
                    np.zeros(0, np.uint64),
                    np.zeros(len(centroids) + 1, np.int64),
                    np.zeros(len(centroids), np.uint64),
                )
                digest = xxhash.xxh3_128_hexdigest(content)
                made = CellList(generation, _layout(dimensions), version, axes.width, digest, base, nothing)
                made.write(self.folder / _LIST_FILE)
            except BaseException:
                with suppress(OSError):
                    self._delete_all_but(held)
                raise
            self._delete_all_but(made)
            return made

    def extend(self, keys: Keys, version: int, dimensions: Mapping[str, int], read: ReadFloats) -> CellList | None:
        """Puts into the cells what they lack of a version; None where there are none that can be added to.

        Args:
            keys: as `make`.
            version: as `make`.
            dimensions: as `make`.
            read: as `make`.

        Raises:
            Timeout: another process is at it.
            OSError: they cannot be written; what was there before is kept.
            IndexStoreError: the table cannot be read.
        """
        with self._locked():
            held = self.read(dimensions)
            fitted = None if held is None else self.fitted(held)
            if held is None or fitted is None:
                return None
            missing = np.flatnonzero(~np.isin(keys, held.keys))
            if not len(missing):
                return held
            self._delete_all_but(held)
            axes, centroids = fitted
            try:
                added = self._added(held, keys, missing, axes, centroids, read)
                made = CellList(
                    held.generation, held.layout, version, held.width, held.fitted_digest, held.base, added
                )
                made.write(self.folder / _LIST_FILE)
            except BaseException:
                with suppress(OSError):
                    self._delete_all_but(held)
                raise
            self._delete_all_but(made)
            return made

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
            found = CellList.read(self.folder / _LIST_FILE)
            if generation is None or (found is not None and found.generation == generation):
                (self.folder / _LIST_FILE).unlink(missing_ok=True)
                for file in self.folder.iterdir():
                    if file.name != _LOCK_FILE:
                        file.unlink(missing_ok=True)

    def _write_part(
        self, name: str, keys: Keys, axes: ScoreVectors, centroids: Tensor, read: ReadFloats
    ) -> ListedPart:
        """Writes the vectors of all rows in the order of cells, by way of a file in the order of rows."""
        cells = np.zeros(len(keys), np.int64)
        size = 2 * axes.width
        with tempfile.TemporaryFile(dir=self.folder) as by_row, (self.folder / name).open("wb", buffering=0) as file:
            parts = torch.split(torch.arange(len(keys)), _READ_AT_ONCE)
            for part in progress_bar(parts, desc="Putting videos into cells", unit="part", leave=False):
                vectors = axes.of_bags(read(part))
                cells[part.numpy()] = nearest_cells(vectors, centroids).numpy()
                by_row.write(bytes_of(vectors))
            by_row.flush()
            order = np.argsort(cells, kind="stable")
            offsets = cell_offsets(cells, len(centroids))
            written = np.memmap(by_row, np.uint8, mode="r", shape=(len(keys), size))
            digests = [np.zeros(0, np.uint64)]
            for first, stop in _blocks(offsets):
                rows = order[offsets[first] : offsets[stop]]
                vectors = torch.from_numpy(written[rows]).view(torch.float16)
                _write_all(file, bytes_of(vectors) if len(vectors) else memoryview(b""))
                digests.append(cell_digests(vectors, offsets[first : stop + 1] - offsets[first]))
            del written
        return ListedPart(name, keys[order], offsets, np.concatenate(digests))

    def _added(
        self,
        held: CellList,
        keys: Keys,
        missing: npt.NDArray[np.int64],
        axes: ScoreVectors,
        centroids: Tensor,
        read: ReadFloats,
    ) -> ListedPart:
        """Writes all later videos in the order of cells: those that were there and still are, and the missing ones."""
        vectors, cells, added_keys = [torch.zeros(0, held.width).half()], [np.zeros(0, np.int64)], []
        if held.added.file:
            earlier = np.fromfile(self.folder / held.added.file, np.float16).reshape(-1, held.width)
            known = torch.from_numpy(earlier[: len(held.added.keys)])
            # What is not what was written is read again from the table.
            if not np.array_equal(cell_digests(known, held.added.offsets), held.added.digests):
                missing = np.flatnonzero(~np.isin(keys, held.base.keys))
            else:
                stays = np.isin(held.added.keys, keys)
                vectors.append(known[torch.from_numpy(stays)])
                cells.append(np.repeat(np.arange(len(centroids)), np.diff(held.added.offsets))[stays])
                added_keys.append(held.added.keys[stays])
        for part in torch.split(torch.from_numpy(missing), _READ_AT_ONCE):
            made = axes.of_bags(read(part))
            vectors.append(made)
            cells.append(nearest_cells(made, centroids).numpy())
        added_keys.append(keys[missing])
        of_all = np.concatenate(cells)
        order = np.argsort(of_all, kind="stable")
        offsets = cell_offsets(of_all, len(centroids))
        ordered = torch.cat(vectors)[torch.from_numpy(order)]
        name = f"{held.generation}.added-{uuid.uuid4().hex[:8]}"
        with (self.folder / name).open("wb", buffering=0) as file:
            _write_all(file, bytes_of(ordered))
        return ListedPart(name, np.concatenate(added_keys)[order], offsets, cell_digests(ordered, offsets))

    def _delete_all_but(self, kept: CellList | None) -> None:
        """Deletes the files of other generations, and what killed writers left."""
        names = {_LOCK_FILE}
        if kept is not None:
            names |= {_LIST_FILE, f"{kept.generation}.fitted", kept.base.file, kept.added.file}
        for file in self.folder.iterdir():
            if file.name not in names:
                # Some systems keep what is mapped; the next writer tries again.
                with suppress(OSError):
                    file.unlink()

    @contextmanager
    def _locked(self, seconds: float = 0.0) -> Iterator[None]:
        """One process at a time writes; the others wait for so long."""
        with FileLock(self.folder / _LOCK_FILE, timeout=seconds):
            yield


def _blocks(offsets: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last (excluded) of runs of cells that hold about as many videos as are written at once."""
    first, num_cells = 0, len(offsets) - 1
    while first < num_cells:
        stop = int(np.searchsorted(offsets, offsets[first] + _WRITTEN_AT_ONCE, side="right")) - 1
        stop = min(num_cells, max(first + 1, stop))
        yield first, stop
        first = stop


def _write_all(file: FileIO, left: memoryview) -> None:
    """Writes without a buffer; less than all may be written at once, as on a full disk."""
    while left:
        left = left[file.write(left) :]


def _layout(dimensions: Mapping[str, int]) -> str:
    return " ".join(f"{level}:{size}" for level, size in dimensions.items())
