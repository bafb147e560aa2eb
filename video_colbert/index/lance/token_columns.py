"""Token bags as columns of a table, and back, without a loop over tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from video_colbert.index.lance.token_codecs import Float16Codec, TokenCodec
from video_colbert.index.search.token_bags import TokenBags


def token_type(codec: TokenCodec, dimension: int) -> pa.DataType:
    """The type of one stored token: numbers where they are float16, which other tools can read, else bytes."""
    if isinstance(codec, Float16Codec):
        return pa.list_(pa.float16(), dimension)
    return pa.list_(pa.uint8(), codec.bytes_per_token(dimension))


def bags_to_arrow(bags: Sequence[Tensor], codec: TokenCodec) -> pa.ListArray:
    """One list of stored tokens a bag, from bags [tokens, D], at least one."""
    stored = codec.encode(torch.cat(list(bags)))
    offsets = np.cumsum([0, *map(len, bags)], dtype=np.int32)
    if isinstance(codec, Float16Codec):
        stored = stored.view(torch.float16)
    return pa.ListArray.from_arrays(pa.array(offsets), vectors_to_arrow(stored))


def bags_from_arrow(column: pa.ChunkedArray, codec: TokenCodec, dimension: int) -> TokenBags:
    """Reads a column that `bags_to_arrow` made; its chunks are copied once, into one matrix."""
    offsets = np.zeros(len(column) + 1, np.int64)
    bag = 0
    for chunk in column.chunks:
        stops = chunk.offsets.to_numpy()
        offsets[bag + 1 : bag + len(chunk) + 1] = offsets[bag] + stops[1:].astype(np.int64) - stops[0]
        bag += len(chunk)
    # `flatten` minds the offset of a sliced array.
    stored = _joined([chunk.flatten() for chunk in column.chunks], column.type.value_type)
    tokens = stored if isinstance(codec, Float16Codec) else codec.decode(stored, dimension)
    return TokenBags(tokens, torch.from_numpy(offsets))


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
        part = chunk.flatten().to_numpy(zero_copy_only=True).reshape(len(chunk), -1)
        joined[first : first + len(chunk)] = part
        first += len(chunk)
    return torch.from_numpy(joined)
