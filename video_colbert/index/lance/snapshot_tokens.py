"""The tokens of some videos of a version, for queries that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from video_colbert.errors import IndexStoreError

if TYPE_CHECKING:
    from video_colbert.index.lance.snapshot import IndexSnapshot
    from video_colbert.index.search.level_bags import LevelBags


def tokens_of(snapshot: IndexSnapshot, ids: Sequence[str]) -> LevelBags:
    """The tokens of some videos, as `VideoIndex.tokens_of` says."""
    import torch

    rows = pc.index_in(pa.array(ids, pa.string()), value_set=snapshot.records["id"])
    if not len(ids) or rows.null_count:
        absent = next((name for name, row in zip(ids, rows.to_pylist(), strict=True) if row is None), "no id")
        raise IndexStoreError(f"not in the index in {snapshot.table.location}: {absent}")
    return snapshot.bags(torch.tensor(rows.to_pylist()))


def sampled_tokens(snapshot: IndexSnapshot, count: int) -> LevelBags | None:
    """The tokens of some videos, evenly over the version, as `VideoIndex.sampled_tokens` says."""
    import torch

    if not len(snapshot):
        return None
    number = min(count, len(snapshot))
    return snapshot.bags(torch.arange(number) * len(snapshot) // number)
