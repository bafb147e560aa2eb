"""One version of an index as a reader sees it: what is known of each video, and its tokens when they are wanted."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from video_colbert.freed_memory import return_freed_memory
from video_colbert.index.filter_rows import rows_where
from video_colbert.index.filter_values import resolve_filter
from video_colbert.index.filters import Filter
from video_colbert.index.indexed_video import IndexedVideo, record_names
from video_colbert.index.lance.held_records import HeldRecords
from video_colbert.index.lance.mapped.cell_cache import CellCache
from video_colbert.index.lance.mapped.mapped_rows import Keys
from video_colbert.index.lance.mapped.version_tokens import TokenCache, VersionTokens, keys_of
from video_colbert.index.lance.schema import (
    read_dimensions,
    read_notes,
    read_weighted_levels,
    tokens_column,
    weights_column,
)
from video_colbert.index.lance.table_version import TableVersion
from video_colbert.index.lance.token_codecs import TokenCodec
from video_colbert.index.metadata_columns import POOLED, filter_fields, metadata_fields
from video_colbert.index.search.calibration import EXACT_LIMIT

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.index.lance.mapped.version_cells import VersionCells
    from video_colbert.index.search.cells.video_cells import VideoCells
    from video_colbert.index.search.level_bags import LevelBags
    from video_colbert.index.search.quantized_bags import StoredBags

Place = tuple[str, float | None, float | None]
"""Path, start and end."""


class IndexSnapshot:
    """The videos of one version, addressed by row 0 to N - 1: the `TokenSource` of a search.

    Attributes:
        dimensions: numbers of a token by level; empty before the first video.
        weighted_levels: those whose tokens have weights.
        records: what is known of each video, in the table's columns, without the times of frames.

    Args:
        table: the version.
        codec: how its tokens are stored.
        earlier: a snapshot of an earlier version; what it holds in memory of the same rows is not read again.
        cache: mapped files from which the tokens of some videos are read; None to read them from the table.
        cell_cache: where the files with the cells of the videos are; None for a snapshot without cells.
    """

    def __init__(
        self,
        table: TableVersion,
        codec: TokenCodec,
        earlier: IndexSnapshot | None = None,
        cache: TokenCache | None = None,
        cell_cache: CellCache | None = None,
    ) -> None:
        self.table = table
        self.version = table.version
        self.dimensions: Mapping[str, int] = read_dimensions(table.schema)
        self.weighted_levels = read_weighted_levels(table.schema)
        self._codec_of_index = codec
        self._metadata_names = [column.name for column in metadata_fields(table.schema)]
        records, self._row_ids = table.read([*record_names(table.schema), *self._metadata_names])
        self._held = HeldRecords(records, self._metadata_names)
        self.records = self._held.columns
        del records
        self._return_freed_memory()
        self._mapped: VersionTokens | None = None
        if cache is not None and self.dimensions:
            self._mapped = VersionTokens(
                cache, self.version, lambda: self._keys, self._no_stored_bags, self._stored_at
            )
        self._cell_cache = cell_cache
        self._cells: VersionCells | None = None
        # One thread makes what opens them.
        self._lock = threading.Lock()
        self._bags: LevelBags | None = None
        if earlier is not None and earlier._bags is not None:
            self._bags = self._bags_with(earlier)

    @cached_property
    def _codec(self) -> TokenCodec:
        """How tokens are stored, with the codes of this version."""
        from video_colbert.index.lance.learned_codes import codec_of_table

        return codec_of_table(self._codec_of_index, self.table.schema, self.table.location)

    def __len__(self) -> int:
        return len(self._row_ids)

    @cached_property
    def has_windows(self) -> bool:
        """Whether there are windows of videos among the videos."""
        return any(self.records[bound].null_count < len(self) for bound in ("start", "end"))

    @cached_property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """All videos, in the order of storing."""
        return tuple(self._held.at(np.arange(len(self))))

    def videos_at(self, rows: Tensor) -> list[IndexedVideo]:
        """The videos of some rows, in their order."""
        return self._held.at(rows.numpy())

    def known_ids(self, ids: Sequence[str]) -> set[str]:
        """Those of some ids that are stored."""
        return set(self.paths_of(ids))

    def paths_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Path by id, of those of some ids that are stored."""
        among = pc.is_in(self.records["id"], value_set=pa.array(ids, pa.string()))
        found = self.records.select(["id", "path"]).filter(among)
        return dict(zip(found["id"].to_pylist(), found["path"].to_pylist(), strict=True))

    def videos_of_contents(self, contents: Collection[str]) -> dict[str, IndexedVideo]:
        """The first video or window of each of some contents, by digest; those that are not stored are left out."""
        among = pc.is_in(self.records["digest"], value_set=pa.array(sorted(contents), pa.string()))
        found = self._held.at(np.flatnonzero(among)) if contents else []
        return {video.digest: video for video in reversed(found)}

    def contents_without(self, ids: Collection[str]) -> set[str]:
        """Digests of the contents that would not be held any more without some videos or windows."""
        leaves = pc.is_in(self.records["id"], value_set=pa.array(sorted(ids), pa.string()))
        leaving, staying = (self.records["digest"].filter(rows) for rows in (leaves, pc.invert(leaves)))
        return set(leaving.to_pylist()) - set(pc.unique(staying).to_pylist())

    def ids_at(self, places: Collection[Place]) -> list[str]:
        """Ids of the stored videos at some places."""
        among = pc.is_in(self.records["path"], value_set=pa.array([path for path, _, _ in places], pa.string()))
        found = self.records.select(["id", "path", "start", "end"]).filter(among).to_pylist()
        return [row["id"] for row in found if (row["path"], row["start"], row["end"]) in places]

    def rows_where(self, condition: Filter) -> Tensor:
        """The rows of which a condition holds, int64, increasing.

        Raises:
            FilterError: it asks for what the index does not have.
        """
        import torch

        schema = self.table.schema
        resolved = resolve_filter(condition, filter_fields(schema), read_notes(schema).folders)
        return torch.from_numpy(np.flatnonzero(rows_where(resolved, self.records)))

    def token_bytes(self) -> int:
        """About the memory that all tokens take as float16, at most."""
        growth = max(2 * size / self._codec_of_index.bytes_per_token(size) for size in self.dimensions.values())
        return int(self.table.num_bytes() * growth)

    def pooled(self) -> Tensor:
        """Pooled vectors, float16 [N, P]."""
        from video_colbert.index.lance.rows import vectors_from_arrow

        table, _ = self.table.read([POOLED])
        return vectors_from_arrow(table[POOLED])

    def bags(self, rows: Tensor | None = None) -> LevelBags:
        """The bags of some videos.

        Args:
            rows: int64 [n], in any order; None for all, which are then held in memory.

        Returns:
            float16 bags in the order of `rows`.
        """
        import torch

        from video_colbert.index.lance.rows import decoded_bags

        if rows is None:
            if self._bags is None:
                table, _ = self.table.read(self._token_columns())
                self._bags = self._read(table)
            return self._bags
        if self._bags is not None:
            return self._bags.select(rows)
        if self._mapped is not None and (stored := self._mapped.bags(rows)) is not None:
            return decoded_bags(self._unpacked(stored), self._codec, self.dimensions)
        wanted, order = torch.unique(rows, return_inverse=True)
        return self._taken(self._row_ids[wanted.numpy()]).select(order)

    def quantized_bags(self, rows: Tensor, levels: Collection[str]) -> Mapping[str, StoredBags] | None:
        """The int8 copies of the bags of some videos, by level; None where there are none.

        Args:
            rows: int64 [n], in any order.
            levels: that are wanted.
        """
        return None if self._mapped is None else self._mapped.quantized_bags(rows, levels)

    def _taken(self, row_ids: npt.NDArray[np.uint64]) -> LevelBags:
        """Bags of row ids, which increase."""
        return self._read(self.table.take(row_ids, self._token_columns())[0])

    def _stored_at(self, rows: Tensor) -> LevelBags:
        """Bags of rows, which increase, as mapped files hold them."""
        from video_colbert.index.lance.rows import stored_bags_from_arrow

        table, _ = self.table.take(self._row_ids[rows.numpy()], self._token_columns())
        return self._packed(stored_bags_from_arrow(table, self.dimensions))

    def _no_stored_bags(self) -> LevelBags:
        return self._packed(self._empty)

    @cached_property
    def _empty(self) -> LevelBags:
        """No bags, as the table stores them."""
        from video_colbert.index.lance.rows import no_stored_bags

        return no_stored_bags(self._codec, self.dimensions, self.weighted_levels)

    def _packed(self, stored: LevelBags) -> LevelBags:
        """Bags as mapped files hold them."""
        if not self.weighted_levels:
            return stored
        from video_colbert.index.lance.mapped.packed_weights import pack_weights

        return pack_weights(stored)

    def _unpacked(self, packed: LevelBags) -> LevelBags:
        """Bags as the table stores them."""
        if not self.weighted_levels:
            return packed
        from video_colbert.index.lance.mapped.packed_weights import unpack_weights

        return unpack_weights(packed, {level: self._empty[level].tokens for level in self.weighted_levels})

    def cells(self, *, anew: bool = False) -> VideoCells | None:
        """The videos in cells; None where they cannot be had.

        Args:
            anew: find cells for what is there now, rather than add to those that were found before.
        """
        if self._cell_cache is None or not self.dimensions:
            return None
        with self._lock:
            if self._cells is None:
                from video_colbert.index.lance.mapped.version_cells import VersionCells

                self._cells = VersionCells(
                    self._cell_cache, self.version, lambda: self._keys, self.dimensions, self.bags
                )
        return self._cells.cells(anew=anew)

    def replace_cells(self, cells: VideoCells) -> None:
        """Gives up cells that are not what was written."""
        if self._cells is not None:
            self._cells.replace(cells)

    @cached_property
    def _keys(self) -> Keys:
        """Of all rows; pooled vectors are read some at a time, since together they take much memory."""
        from video_colbert.index.lance.rows import vectors_from_arrow

        keys, row_ids = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        columns = [weights_column(level) for level in self.weighted_levels]
        for part, ids in self.table.parts(["id", POOLED, *columns]):
            weights = [part[column] for column in columns]
            keys.append(keys_of(part["id"], vectors_from_arrow(part[POOLED]), weights))
            row_ids.append(ids)
        found: Keys = np.concatenate(keys)[np.argsort(np.concatenate(row_ids))]
        self._return_freed_memory()
        return found

    def _return_freed_memory(self) -> None:
        """Gives back what reading left, before what is read next lies between it."""
        if len(self) > EXACT_LIMIT:
            return_freed_memory()

    def _bags_with(self, earlier: IndexSnapshot) -> LevelBags | None:
        """All bags, those of the earlier snapshot from its memory; None where too little of it remains."""
        import torch

        from video_colbert.index.search.level_bags import LevelBags

        known = np.isin(self._row_ids, earlier._row_ids, assume_unique=True)
        if earlier._bags is None or 2 * known.sum() < len(known):
            return None
        kept = torch.from_numpy(np.searchsorted(earlier._row_ids, self._row_ids[known]))
        old = earlier._bags.select(kept)
        if known.all():
            return old
        new = self._taken(self._row_ids[~known])
        order = torch.from_numpy(np.argsort(np.concatenate([known.nonzero()[0], (~known).nonzero()[0]])))
        return LevelBags.concatenate([old, new]).select(order)

    def _token_columns(self) -> list[str]:
        return [*map(tokens_column, self.dimensions), *map(weights_column, self.weighted_levels)]

    def _read(self, table: pa.Table) -> LevelBags:
        from video_colbert.index.lance.rows import decoded_bags, stored_bags_from_arrow

        return decoded_bags(stored_bags_from_arrow(table, self.dimensions), self._codec, self.dimensions)
