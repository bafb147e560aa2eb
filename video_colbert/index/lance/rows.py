"""Encoded videos as rows of an index's table, and token columns back as bags, without a loop over tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import ModelMismatchError
from video_colbert.index.indexed_video import IndexedVideo, records_to_arrow
from video_colbert.index.lance.schema import tokens_column, weights_column
from video_colbert.index.lance.token_codecs import Float16Codec, TokenCodec
from video_colbert.index.lance.token_merging import merge_video_tokens
from video_colbert.index.metadata_columns import POOLED
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.scoring import levels_text
from video_colbert.index.search.token_bags import TokenBags


def common_dimensions(videos: Sequence[EncodedVideo], stored: Mapping[str, int], location: str) -> dict[str, int]:
    """The levels and dimensions of new videos, which must all be those of the stored ones.

    Args:
        videos: at least one.
        stored: dimension by level of the index; empty before its first video.
        location: of the index, for the error.

    Returns:
        Dimension by level, in the order of the index's columns.

    Raises:
        ModelMismatchError: a video has another dimension or other levels; the message names both.
    """
    given = [{level: int(tokens.shape[1]) for level, tokens in video.embeds.items()} for video in videos]
    expected = dict(stored) or given[0]
    for video, dimensions in zip(videos, given, strict=True):
        if dimensions != expected:
            raise ModelMismatchError(
                f"the index in {location} holds vectors of {levels_text(expected)}, not of {levels_text(dimensions)} "
                f"like those of {video.clip.source!r}"
            )
    return expected


def common_weighted_levels(
    videos: Sequence[EncodedVideo], stored: Collection[str] | None, location: str
) -> tuple[str, ...]:
    """The levels of new videos whose tokens have weights, which must be those of the stored ones.

    Args:
        videos: at least one.
        stored: those of the index; None before its first video.
        location: of the index, for the error.

    Raises:
        ModelMismatchError: a video has weights on other levels, or not one for each token; the message names them.
    """
    expected = tuple(videos[0].token_weights if stored is None else stored)
    for video in videos:
        if set(video.token_weights) != set(expected):
            raise ModelMismatchError(
                f"the index in {location} holds weights of tokens on {_listed(expected)}, but {video.clip.source!r} "
                f"has them on {_listed(video.token_weights)}; its model is another one"
            )
        for level, weights in video.token_weights.items():
            if level not in video.embeds or weights.shape != video.embeds[level].shape[:1]:
                raise ModelMismatchError(
                    f"{video.clip.source!r} has {len(weights)} weights on the level {level}; it must be one for each "
                    "of its tokens"
                )
    return expected


def rows_to_store(
    videos: Sequence[tuple[IndexedVideo, EncodedVideo]],
    codecs: Mapping[str, TokenCodec],
    fields: Sequence[pa.Field],
) -> pa.Table:
    """One row a video.

    Args:
        videos: at least one.
        codecs: how tokens are stored, by level; each video has these levels.
        fields: the index's columns of facts and metadata.
    """
    bags = LevelBags(
        {level: TokenBags.from_bags([encoded.embeds[level] for _, encoded in videos]) for level in codecs}
    )
    rows = records_to_arrow([video for video, _ in videos], fields)
    for level, codec in codecs.items():
        tokens = [encoded.embeds[level] for _, encoded in videos]
        rows = rows.append_column(tokens_column(level), bags_to_arrow(tokens, codec))
    for level in videos[0][1].token_weights:
        weights = [encoded.token_weights[level] for _, encoded in videos]
        rows = rows.append_column(weights_column(level), weights_to_arrow(weights))
    return rows.append_column(POOLED, vectors_to_arrow(bags.pooled()))


def bags_to_arrow(bags: Sequence[Tensor], codec: TokenCodec) -> pa.ListArray:
    """One list of stored tokens a bag, from bags [tokens, D], at least one."""
    stored = codec.encode(torch.cat(list(bags)))
    offsets = np.cumsum([0, *map(len, bags)], dtype=np.int32)
    if isinstance(codec, Float16Codec):
        stored = stored.view(torch.float16)
    return pa.ListArray.from_arrays(pa.array(offsets), vectors_to_arrow(stored))


def weights_to_arrow(weights: Sequence[Tensor]) -> pa.ListArray:
    """One list of weights a bag, from weights [tokens], of at least one bag."""
    offsets = np.cumsum([0, *map(len, weights)], dtype=np.int32)
    joined = torch.cat([of_bag.float().cpu() for of_bag in weights])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(joined.numpy()))


def weights_from_arrow(column: pa.ChunkedArray) -> Tensor:
    """Reads a column that `weights_to_arrow` made, float32 [total]."""
    # `flatten` minds the offset of a sliced array.
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return torch.from_numpy(np.concatenate([np.zeros(0, np.float32), *parts]))


def stored_bags_from_arrow(table: pa.Table, levels: Iterable[str]) -> LevelBags:
    """Reads the token columns of rows that `rows_to_store` made; the tokens stay as the codec made them."""
    bags = {level: _stored_bags(table[tokens_column(level)]) for level in levels}
    for level in bags:
        if weights_column(level) in table.column_names:
            weights = weights_from_arrow(table[weights_column(level)])
            bags[level] = dataclasses.replace(bags[level], weights=weights)
    return LevelBags(bags)


def decoded_bags(stored: LevelBags, codec: TokenCodec, dimensions: Mapping[str, int]) -> LevelBags:
    """Bags of float16 from stored ones."""
    if isinstance(codec, Float16Codec):
        return stored
    return LevelBags(
        {
            level: dataclasses.replace(of_level, tokens=codec.decode(of_level.tokens, dimensions[level]))
            for level, of_level in stored.items()
        }
    )


def no_stored_bags(
    codec: TokenCodec, dimensions: Mapping[str, int], weighted_levels: Collection[str] = ()
) -> LevelBags:
    """Bags of no videos, with tokens of the type and width that `stored_bags_from_arrow` gives."""
    tokens = {level: codec.encode(torch.zeros(0, dimension)) for level, dimension in dimensions.items()}
    if isinstance(codec, Float16Codec):
        tokens = {level: of_level.view(torch.float16) for level, of_level in tokens.items()}
    none = torch.zeros(1, dtype=torch.int64)
    return LevelBags(
        {
            level: TokenBags(of_level, none, torch.zeros(0) if level in weighted_levels else None)
            for level, of_level in tokens.items()
        }
    )


def _stored_bags(column: pa.ChunkedArray) -> TokenBags:
    """Reads a column that `bags_to_arrow` made; its chunks are copied once, into one matrix."""
    offsets = np.zeros(len(column) + 1, np.int64)
    bag = 0
    for chunk in column.chunks:
        stops = chunk.offsets.to_numpy()
        offsets[bag + 1 : bag + len(chunk) + 1] = offsets[bag] + stops[1:].astype(np.int64) - stops[0]
        bag += len(chunk)
    # `flatten` minds the offset of a sliced array.
    stored = _joined([chunk.flatten() for chunk in column.chunks], column.type.value_type)
    return TokenBags(stored, torch.from_numpy(offsets))


def vectors_to_arrow(vectors: Tensor) -> pa.FixedSizeListArray:
    """One vector a row, from float16 or uint8 [N, P]."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.contiguous().numpy().reshape(-1)), vectors.shape[1])


def vectors_from_arrow(column: pa.ChunkedArray) -> Tensor:
    """Reads a column that `vectors_to_arrow` made, [N, P]."""
    return _joined(column.chunks, column.type)


def _joined(chunks: list[pa.FixedSizeListArray], kind: pa.FixedSizeListType) -> Tensor:
    length = sum(map(len, chunks))
    joined: npt.NDArray[np.generic] = np.empty((length, kind.list_size), kind.value_type.to_pandas_dtype())
    first = 0
    for chunk in chunks:
        part = chunk.flatten().to_numpy(zero_copy_only=True).reshape(len(chunk), kind.list_size)
        joined[first : first + len(chunk)] = part
        first += len(chunk)
    return torch.from_numpy(joined)


def merged_video(
    video: IndexedVideo, encoded: EncodedVideo, min_similarity: float
) -> tuple[IndexedVideo, EncodedVideo]:
    """A video with its neighbouring tokens merged, and the times of the frame tokens that remain."""
    merged = merge_video_tokens(encoded, min_similarity)
    return dataclasses.replace(video, timestamps=tuple(merged.timestamps.tolist())), merged


def _listed(levels: Collection[str]) -> str:
    return f"the levels {' and '.join(levels)}" if levels else "no level"
