"""Our collections and queries on Qdrant's engine inside this process (Qdrant Edge): the server's own scoring code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import qdrant_edge
from qdrant_client import models

MULTIVECTOR = qdrant_edge.MultiVectorConfig(qdrant_edge.MultiVectorComparator.MaxSim)


def create_shard(folder: Path, dim: int, token_quantization: str | None, *, threads: int) -> qdrant_edge.EdgeShard:
    """An empty shard laid out as `QdrantCollection` lays out a collection of two levels.

    Args:
        folder: an empty folder.
        dim: numbers in a token.
        token_quantization: "int8", "4bit" or None.
        threads: that a search may use.
    """
    half = qdrant_edge.VectorStorageDatatype.Float16
    copy: Any = {
        "int8": qdrant_edge.ScalarQuantizationConfig(
            qdrant_edge.ScalarType.Int8, 0.99, memory=qdrant_edge.Memory.Pinned
        ),
        "4bit": qdrant_edge.TurboQuantQuantizationConfig(
            bits=qdrant_edge.TurboQuantBitSize.Bits4, memory=qdrant_edge.Memory.Pinned
        ),
        None: None,
    }[token_quantization]

    def tokens() -> qdrant_edge.EdgeVectorParams:
        return qdrant_edge.EdgeVectorParams(
            dim,
            qdrant_edge.Distance.Dot,
            multivector_config=MULTIVECTOR,
            datatype=half,
            hnsw_config=qdrant_edge.HnswIndexConfig(0, 100, 10000),
            quantization_config=copy,
        )

    pooled = qdrant_edge.EdgeVectorParams(2 * dim, qdrant_edge.Distance.Dot, datatype=half, quantization_config=copy)
    config = qdrant_edge.EdgeConfig(
        vectors={"pooled": pooled, "frame_tokens": tokens(), "video_tokens": tokens()},
        # A server builds the graph of a large segment; here a small one shall have it too.
        optimizers=qdrant_edge.EdgeOptimizersConfig(indexing_threshold=1000),
        max_search_threads=threads,
    )
    return qdrant_edge.EdgeShard.create(str(folder), config)


def upsert(shard: qdrant_edge.EdgeShard, points: Sequence[models.PointStruct]) -> None:
    """Stores points that were made for the client."""
    shard.update(
        qdrant_edge.UpdateOperation.upsert_points(
            [qdrant_edge.Point(*cast(Any, (point.id, point.vector, point.payload))) for point in points]
        )
    )


def search(shard: qdrant_edge.EdgeShard, request: models.QueryRequest) -> list[tuple[str, float]]:
    """Answers a query that was made for the client: ids and scores, best first."""
    prefetches = request.prefetch if isinstance(request.prefetch, list) else [request.prefetch]
    found = shard.query(
        qdrant_edge.QueryRequest(
            limit=request.limit or 10,
            query=_formula(request.query),
            prefetches=[_prefetch(part) for part in prefetches if part is not None],
        )
    )
    return [(str(point.id), point.score) for point in found]


def _prefetch(part: models.Prefetch) -> qdrant_edge.Prefetch:
    inner = part.prefetch if isinstance(part.prefetch, list) else [part.prefetch]
    params = None
    if part.params is not None and part.params.quantization is not None:
        given = part.params.quantization
        params = qdrant_edge.SearchParams(
            quantization=qdrant_edge.QuantizationSearchParams(rescore=given.rescore, oversampling=given.oversampling)
        )
    return qdrant_edge.Prefetch(
        part.limit or 10,
        qdrant_edge.Query.Nearest(cast(Any, part.query), part.using),
        [_prefetch(below) for below in inner if below is not None],
        params,
    )


def _formula(query: Any) -> qdrant_edge.Formula:
    expression = qdrant_edge.Expression
    terms = [
        expression.Mult([expression.Constant(term.mult[0]), expression.Variable(term.mult[1])])
        for term in query.formula.sum
    ]
    return qdrant_edge.Formula(expression.Sum(terms), query.defaults)
