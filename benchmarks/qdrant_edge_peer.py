"""Qdrant Edge as a peer: one collection with pooled vectors and a multivector a level, asked by one query."""

import shutil
from pathlib import Path

import torch
from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeVectorParams,
    Expression,
    Formula,
    HnswIndexConfig,
    MultiVectorComparator,
    MultiVectorConfig,
    Point,
    Prefetch,
    Query,
    QueryRequest,
    SearchParams,
    UpdateOperation,
    VectorStorageDatatype,
)
from torch import Tensor
from tqdm import tqdm

from video_colbert.index.search.level_bags import TokensInMemory

POINTS_AT_ONCE = 256


class QdrantEdgePeer:
    """A shard of Qdrant Edge with the videos of a source.

    The multivectors are stored as float16 without a graph of their own, since they are only read to score
    candidates again; the pooled vectors have Qdrant's graph (m 16, ef_construct 100).

    Args:
        folder: made anew.
        source: the videos.
    """

    def __init__(self, folder: Path, source: TokensInMemory) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        frames, videos = (source.levels[level] for level in ("frame", "video"))
        width = frames.tokens.shape[1]
        level = EdgeVectorParams(
            size=width,
            distance=Distance.Dot,
            datatype=VectorStorageDatatype.Float16,
            multivector_config=MultiVectorConfig(MultiVectorComparator.MaxSim),
            hnsw_config=HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
        )
        pooled = EdgeVectorParams(
            size=2 * width,
            distance=Distance.Dot,
            hnsw_config=HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000),
        )
        config = EdgeConfig(vectors={"pooled": pooled, "frames": level, "video": level})
        self._shard = EdgeShard.create(str(folder), config)
        vectors = source.pooled().float()
        for first in tqdm(range(0, len(source), POINTS_AT_ONCE), desc="Qdrant Edge", disable=None):
            rows = range(first, min(first + POINTS_AT_ONCE, len(source)))
            points = [
                Point(
                    id=row,
                    vector={
                        "pooled": vectors[row].tolist(),
                        "frames": frames.bag(row).float().tolist(),
                        "video": videos.bag(row).float().tolist(),
                    },
                )
                for row in rows
            ]
            self._shard.update(UpdateOperation.upsert_points(points))
        self._shard.flush()

    def optimize(self) -> None:
        """Merges segments and builds the graph of the pooled vectors."""
        self._shard.optimize()

    def search(
        self, embeds: Tensor, pooled_query: Tensor, top_k: int, *, candidates: int, is_exact: bool
    ) -> list[int]:
        """The best rows: candidates by pooled vectors, both levels scored natively, summed by a formula.

        Args:
            embeds: float32 [Lq, D] query tokens.
            pooled_query: float32 [2 D].
            top_k: rows to return.
            candidates: pooled neighbours to score.
            is_exact: compare all pooled vectors rather than walk the graph.
        """
        tokens = embeds.tolist()
        nearest = Prefetch(
            limit=candidates,
            query=Query.Nearest(pooled_query.tolist(), using="pooled"),
            params=SearchParams(exact=True) if is_exact else SearchParams(hnsw_ef=candidates),
        )
        levels = [
            Prefetch(limit=candidates, query=Query.Nearest(tokens, using=level), prefetches=[nearest])
            for level in ("frames", "video")
        ]
        total = Formula(Expression.Sum([Expression.Variable("$score[0]"), Expression.Variable("$score[1]")]))
        found = self._shard.query(QueryRequest(limit=top_k, query=total, prefetches=levels))
        return [int(point.id) for point in found]

    def close(self) -> None:
        """Closes the shard."""
        self._shard.close()


def pooled_mean(embeds: Tensor) -> Tensor:
    """The mean query token, once a level, float32 [2 D]."""
    return torch.nn.functional.normalize(embeds.mean(dim=0), dim=0).repeat(2)
