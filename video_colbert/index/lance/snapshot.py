"""One version of an index as a reader sees it: what is known of each video, and its tokens when they are wanted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from video_colbert.index.indexed_video import RECORD_FIELDS, IndexedVideo, records_from_arrow
from video_colbert.index.lance.schema import (
    FRAME_TOKENS,
    POOLED,
    VIDEO_TOKENS,
    VectorLayout,
    read_layout,
)
from video_colbert.index.lance.table import TableVersion
from video_colbert.index.lance.token_codecs import TokenCodec
from video_colbert.index.lance.token_columns import bags_from_arrow, vectors_from_arrow
from video_colbert.index.metadata_columns import metadata_fields
from video_colbert.index.search.token_bags import TokenBags

Place = tuple[str, float | None, float | None]
"""Path, start and end."""

BagsOfLevels = tuple[TokenBags, TokenBags | None]
"""Frame and video bags; None for the video level of a model without one."""


class IndexSnapshot:
    """The videos of one version, addressed by position 0 to N - 1: the `TokenSource` of a search.

    Args:
        table: the version.
        codec: how its tokens are stored.
        earlier: a snapshot of an earlier version; what it holds in memory of the same rows is not read again.
    """

    def __init__(self, table: TableVersion, codec: TokenCodec, earlier: IndexSnapshot | None = None) -> None:
        self.table = table
        self.version = table.version
        self.layout: VectorLayout | None = read_layout(table.schema)
        self._codec = codec
        columns = [column.name for column in (*RECORD_FIELDS, *metadata_fields(table.schema))]
        records, self._row_ids = table.read(columns)
        # A few rows are taken from few pieces much faster than from many.
        self.records = records.combine_chunks()
        self._bags: BagsOfLevels | None = None
        if earlier is not None and earlier._bags is not None:
            self._bags = self._bags_with(earlier)

    def __len__(self) -> int:
        return len(self._row_ids)

    @cached_property
    def has_windows(self) -> bool:
        """Whether there are windows of videos among the videos."""
        return any(self.records[bound].null_count < len(self) for bound in ("start", "end"))

    @cached_property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """All videos, in the order of storing."""
        return tuple(records_from_arrow(self.records))

    def videos_at(self, positions: Tensor) -> list[IndexedVideo]:
        """The videos at some positions, in their order."""
        return records_from_arrow(self.records.take(pa.array(positions.numpy())))

    def known_ids(self, ids: Sequence[str]) -> set[str]:
        """Those of some ids that are stored."""
        return set(self.paths_of(ids))

    def paths_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Path by id, of those of some ids that are stored."""
        among = pc.is_in(self.records["id"], value_set=pa.array(ids, pa.string()))
        found = self.records.select(["id", "path"]).filter(among)
        return dict(zip(found["id"].to_pylist(), found["path"].to_pylist(), strict=True))

    def ids_at(self, places: Collection[Place]) -> list[str]:
        """Ids of the stored videos at some places."""
        among = pc.is_in(self.records["path"], value_set=pa.array([path for path, _, _ in places], pa.string()))
        found = self.records.select(["id", "path", "start", "end"]).filter(among).to_pylist()
        return [row["id"] for row in found if (row["path"], row["start"], row["end"]) in places]

    def positions(self, where: str) -> Tensor:
        """The positions at which an SQL condition holds, int64, increasing."""
        _, row_ids = self.table.read(["id"], where)
        return torch.from_numpy(np.searchsorted(self._row_ids, row_ids))

    def token_bytes(self) -> int:
        """About the memory that all tokens take as float16."""
        dimension = self._known_layout().dimension
        return self.table.num_bytes() * 2 * dimension // self._codec.bytes_per_token(dimension)

    def pooled(self) -> Tensor:
        """Normalised mean pools, float16 [N, P]."""
        table, _ = self.table.read([POOLED])
        return vectors_from_arrow(table[POOLED])

    def bags(self, rows: Tensor | None = None) -> BagsOfLevels:
        """Frame and video bags.

        Args:
            rows: int64 positions, in any order; None for all, which are then held in memory.

        Returns:
            float16 bags in the order of `rows`; None for the video level of a model without one.
        """
        if rows is None:
            if self._bags is None:
                table, _ = self.table.read(self._token_columns())
                self._bags = self._read(table)
            return self._bags
        if self._bags is not None:
            return _select(self._bags, rows)
        wanted, places = torch.unique(rows, return_inverse=True)
        return _select(self._taken(self._row_ids[wanted.numpy()]), places)

    def _taken(self, row_ids: npt.NDArray[np.uint64]) -> BagsOfLevels:
        """Bags of row ids, which increase."""
        table, _ = self.table.take(row_ids, self._token_columns())
        return self._read(table)

    def _bags_with(self, earlier: IndexSnapshot) -> BagsOfLevels | None:
        """All bags, those of the earlier snapshot from its memory; None where too little of it remains."""
        known = np.isin(self._row_ids, earlier._row_ids, assume_unique=True)
        if earlier._bags is None or 2 * known.sum() < len(known):
            return None
        kept = torch.from_numpy(np.searchsorted(earlier._row_ids, self._row_ids[known]))
        old = _select(earlier._bags, kept)
        if known.all():
            return old
        new = self._taken(self._row_ids[~known])
        order = torch.from_numpy(np.argsort(np.concatenate([known.nonzero()[0], (~known).nonzero()[0]])))
        both = old[0].join(new[0]), None if old[1] is None or new[1] is None else old[1].join(new[1])
        return _select(both, order)

    def _token_columns(self) -> list[str]:
        return [FRAME_TOKENS, VIDEO_TOKENS] if self._known_layout().has_video_level else [FRAME_TOKENS]

    def _read(self, table: pa.Table) -> BagsOfLevels:
        layout = self._known_layout()
        frames = bags_from_arrow(table[FRAME_TOKENS], self._codec, layout.dimension)
        if not layout.has_video_level:
            return frames, None
        return frames, bags_from_arrow(table[VIDEO_TOKENS], self._codec, layout.dimension)

    def _known_layout(self) -> VectorLayout:
        if self.layout is None:
            raise ValueError("an index without videos has no tokens")
        return self.layout


def _select(bags: BagsOfLevels, rows: Tensor) -> BagsOfLevels:
    frames, videos = bags
    return frames.select(rows), None if videos is None else videos.select(rows)
