"""The vectors of a Qdrant collection: the tokens of each level, and one pooled vector a video."""

from __future__ import annotations

from collections.abc import Mapping

from qdrant_client import models

from video_colbert.index.qdrant.location import CollectionOptions, Quantization

POOLED = "pooled"
"""Name of the vector that holds the pooled tokens of all levels, one after another."""


def level_vector(level: str) -> str:
    """Name of the multivector that holds the tokens of a level."""
    return f"{level}_tokens"


def vector_configs(dimensions: Mapping[str, int]) -> dict[str, models.DenseVectorConfig]:
    """What can be said of vectors when they are made, by name.

    Args:
        dimensions: numbers in a token, by level.
    """
    max_sim = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)

    def half(size: int, comparison: models.MultiVectorConfig | None) -> models.DenseVectorConfig:
        return models.DenseVectorConfig(
            size=size,
            distance=models.Distance.DOT,
            datatype=models.VectorStorageDatatype.FLOAT16,
            multivector_config=comparison,
        )

    pooled = half(sum(dimensions.values()), None)
    return {POOLED: pooled} | {level_vector(level): half(size, max_sim) for level, size in dimensions.items()}


def vector_placements(dimensions: Mapping[str, int], options: CollectionOptions) -> dict[str, models.VectorParamsDiff]:
    """Where vectors are held, how they are compressed and whether they have a graph, by name.

    The tokens have no graph: they are only ever compared with the candidates that the pooled vectors select.

    Args:
        dimensions: numbers in a token, by level.
        options: of the collection.
    """
    placement = models.Memory.COLD if options.on_disk else models.Memory.CACHED
    tokens = models.VectorParamsDiff(
        memory=placement,
        hnsw_config=models.HnswConfigDiff(m=0),
        quantization_config=_quantization(options.token_quantization),
    )
    pooled = models.VectorParamsDiff(
        # A graph search reads the pooled vectors in no order, so they are on disk only beside a copy in memory.
        memory=placement if options.quantization else models.Memory.CACHED,
        quantization_config=_quantization(options.quantization),
    )
    return {POOLED: pooled} | {level_vector(level): tokens for level in dimensions}


def _quantization(kind: Quantization | None) -> models.QuantizationConfigDiff | None:
    """The compressed copy, always in memory: that is what it is for."""
    pinned = models.Memory.PINNED
    if kind == "int8":
        # Without a quantile the range is that of the largest number; a few outliers would waste it.
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, memory=pinned)
        return models.ScalarQuantization(scalar=scalar)
    if kind == "4bit":
        turbo = models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, memory=pinned)
        return models.TurboQuantization(turbo=turbo)
    if kind == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(memory=pinned))
    return None
