"""Token bags as columns of a table, and back, without a loop over tokens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from video_colbert.index.token_bags import TokenBags

FLOAT16 = "fp16"


def token_type(codec: str, dimension: int) -> pa.DataType:
    """The type of one stored token."""
    return pa.list_(pa.float16(), dimension)


def bags_to_arrow(bags: TokenBags, codec: str) -> pa.ListArray:
    """One list of tokens a bag."""
    dimension = bags.tokens.shape[1]
    tokens = pa.FixedSizeListArray.from_arrays(pa.array(bags.tokens.contiguous().numpy().reshape(-1)), dimension)
    return pa.ListArray.from_arrays(pa.array(bags.offsets.numpy().astype(np.int32)), tokens)


def bags_from_arrow(column: pa.ChunkedArray, codec: str, dimension: int) -> TokenBags:
    """Reads a column that `bags_to_arrow` made; its chunks are copied once, into the bags' one matrix."""
    offsets = np.zeros(len(column) + 1, np.int64)
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    bag = 0
    for chunk in chunks:
        stops = chunk.offsets.to_numpy()
        offsets[bag + 1 : bag + len(chunk) + 1] = offsets[bag] + stops[1:].astype(np.int64) - stops[0]
        bag += len(chunk)
    tokens = np.empty((int(offsets[-1]), dimension), np.float16)
    first = 0
    for chunk in chunks:
        # `flatten` minds the offset of a sliced array.
        part = chunk.flatten().flatten().to_numpy(zero_copy_only=True).reshape(-1, dimension)
        tokens[first : first + len(part)] = part
        first += len(part)
    return TokenBags(torch.from_numpy(tokens), torch.from_numpy(offsets))


def vectors_to_arrow(vectors: torch.Tensor) -> pa.FixedSizeListArray:
    """One vector a row, from float16 [N, P]."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.contiguous().numpy().reshape(-1)), vectors.shape[1])


def vectors_from_arrow(column: pa.ChunkedArray) -> torch.Tensor:
    """Reads a column that `vectors_to_arrow` made, float16 [N, P]."""
    vectors = np.empty((len(column), column.type.list_size), np.float16)
    first = 0
    for chunk in column.chunks:
        numbers = chunk.flatten().to_numpy(zero_copy_only=True)
        vectors[first : first + len(chunk)] = numbers.reshape(len(chunk), -1)
        first += len(chunk)
    return torch.from_numpy(vectors)
