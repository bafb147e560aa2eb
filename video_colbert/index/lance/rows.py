"""Encoded videos as rows of an index's table, and token columns back as bags, without a loop over tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.errors import ModelMismatchError
from video_colbert.index.indexed_video import IndexedVideo, records_to_arrow
from video_colbert.index.lance.schema import tokens_column
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
    return rows.append_column(POOLED, vectors_to_arrow(bags.pooled()))


def bags_to_arrow(bags: Sequence[Tensor], codec: TokenCodec) -> pa.ListArray:
    """One list of stored tokens a bag, from bags [tokens, D], at least one."""
    stored = codec.encode(torch.cat(list(bags)))
    offsets = np.cumsum([0, *map(len, bags)], dtype=np.int32)
    if isinstance(codec, Float16Codec):
        stored = stored.view(torch.float16)
    return pa.ListArray.from_arrays(pa.array(offsets), vectors_to_arrow(stored))


def stored_bags_from_arrow(table: pa.Table, levels: Iterable[str]) -> LevelBags:
    """Reads the token columns of rows that `rows_to_store` made; the tokens stay as the codec made them."""
    return LevelBags({level: _stored_bags(table[tokens_column(level)]) for level in levels})


def decoded_bags(stored: LevelBags, codec: TokenCodec, dimensions: Mapping[str, int]) -> LevelBags:
    """Bags of float16 from stored ones."""
    if isinstance(codec, Float16Codec):
        return stored
    return LevelBags(
        {
            level: TokenBags(codec.decode(of_level.tokens, dimensions[level]), of_level.offsets)
            for level, of_level in stored.items()
        }
    )


def no_stored_bags(codec: TokenCodec, dimensions: Mapping[str, int]) -> LevelBags:
    """Bags of no videos, with tokens of the type and width that `stored_bags_from_arrow` gives."""
    tokens = {level: codec.encode(torch.zeros(0, dimension)) for level, dimension in dimensions.items()}
    if isinstance(codec, Float16Codec):
        tokens = {level: of_level.view(torch.float16) for level, of_level in tokens.items()}
    none = torch.zeros(1, dtype=torch.int64)
    return LevelBags({level: TokenBags(of_level, none) for level, of_level in tokens.items()})


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
