"""Number formats in which many tokens are compared with a query, and which of them this processor is fastest at.

A format loses a little of each vector. What it loses is measured when the tokens are stored, so that a scorer
can say how far from the exact score a fast one may be (`scoring.py`).
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

# Tokens, query tokens and width of the product that the formats are timed on; about the size of one block.
_TRIAL_SHAPE = (8192, 32, 512)
_TRIAL_ROUNDS = 5
_INT8_MAX = 127


@dataclass(frozen=True)
class StoredVectors:
    """Vectors in a number format.

    Attributes:
        values: [n, D] in the format's type.
        scales: float32 [n] by which the values are multiplied; None where there are none.
    """

    values: Tensor
    scales: Tensor | None

    def __len__(self) -> int:
        return len(self.values)

    def restored(self) -> Tensor:
        """The vectors that these values stand for, float32 [n, D]."""
        values = self.values.float()
        return values if self.scales is None else values * self.scales[:, None]


class NumberFormat(Protocol):
    """A number format.

    Attributes:
        name: its name in torch.
        rounding: by how much a similarity is rounded, relative to itself.
    """

    name: str
    rounding: float

    def store(self, vectors: Tensor) -> StoredVectors:
        """Brings float vectors [n, D] into the format."""
        ...

    def similarities(self, tokens: StoredVectors, queries: StoredVectors) -> Tensor:
        """Inner products of tokens and query tokens, up to a positive factor a query token.

        Args:
            tokens: [t, D], in this format.
            queries: [m, D], in this format.

        Returns:
            float32 [t, m]; `queries.scales`, where there are some, are left to the caller, since a maximum over
            tokens may be taken before.
        """
        ...


class Int8Format:
    """8-bit integers with a scale a vector, multiplied as integers."""

    name = "int8"
    rounding = 0.0

    def store(self, vectors: Tensor) -> StoredVectors:
        """Divides each vector by 1/127 of its largest magnitude and rounds."""
        vectors = vectors.float()
        scales = vectors.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / _INT8_MAX
        return StoredVectors((vectors / scales[:, None]).round_().to(torch.int8), scales)

    def similarities(self, tokens: StoredVectors, queries: StoredVectors) -> Tensor:
        """Integer products, exact, times the scale of the token."""
        assert tokens.scales is not None  # noqa: S101 - made by `store`
        return torch._int_mm(tokens.values, queries.values.T).float().mul_(tokens.scales[:, None])


class FloatFormat:
    """Floating point of 16 or 32 bits."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.name = str(dtype).removeprefix("torch.")
        # The product comes out in the format itself: half a unit in the last place.
        self.rounding = torch.finfo(dtype).eps / 2

    def store(self, vectors: Tensor) -> StoredVectors:
        """Rounds to the format."""
        return StoredVectors(vectors.to(self.dtype), None)

    def similarities(self, tokens: StoredVectors, queries: StoredVectors) -> Tensor:
        """Products, rounded to the format."""
        return (tokens.values @ queries.values.T).float()


_FORMATS: tuple[NumberFormat, ...] = (
    Int8Format(),
    FloatFormat(torch.bfloat16),
    FloatFormat(torch.float16),
    FloatFormat(torch.float32),
)


@functools.cache
def fastest_format(device: torch.device) -> NumberFormat:
    """The number format in which this device compares tokens fastest, among those it does correctly.

    Each format is tried once a process, in some milliseconds: a processor without the instructions for a type
    may refuse it, emulate it or saturate, and no name of a processor tells.

    Args:
        device: where the tokens will be.
    """
    # Accelerators multiply integers only in shapes of whole tiles, and floats as fast.
    tried = [candidate for candidate in _FORMATS if device.type == "cpu" or isinstance(candidate, FloatFormat)]
    correct = [candidate for candidate in tried if is_correct(candidate, device)]
    return min(correct, key=lambda candidate: _seconds(candidate, device))


def number_format(name: str) -> NumberFormat:
    """A number format by name.

    Raises:
        ValueError: there is none of this name.
    """
    for candidate in _FORMATS:
        if candidate.name == name:
            return candidate
    raise ValueError(f"number_format must be one of {', '.join(known.name for known in _FORMATS)}; got {name!r}")


def is_correct(candidate: NumberFormat, device: torch.device) -> bool:
    """Whether products in this format equal those of what is stored, in float64, to the format's rounding.

    The vectors are at the limits of the range, where 16-bit intermediate sums of 8-bit products would saturate.
    """
    generator = torch.Generator().manual_seed(0)
    tokens = torch.rand(64, 200, generator=generator).sub_(0.5).sign_()
    queries = torch.rand(32, 200, generator=generator).sub_(0.5)
    # Equal signs make the largest sums.
    queries[0], tokens[0], tokens[1] = 1.0, 1.0, -1.0
    try:
        stored_tokens = candidate.store(tokens.to(device))
        stored_queries = candidate.store(queries.to(device))
        found = candidate.similarities(stored_tokens, stored_queries)
        if stored_queries.scales is not None:
            found = found * stored_queries.scales
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    expected = stored_tokens.restored().double() @ stored_queries.restored().double().T
    bound = (
        (candidate.rounding + 1e-5)
        * stored_tokens.restored().abs().double()
        @ (stored_queries.restored().abs().double().T)
    )
    return bool(((found - expected).abs() <= bound).all())


def _seconds(candidate: NumberFormat, device: torch.device) -> float:
    num_tokens, num_queries, width = _TRIAL_SHAPE
    generator = torch.Generator().manual_seed(0)
    tokens = candidate.store(torch.randn(num_tokens, width, generator=generator).to(device))
    queries = candidate.store(torch.randn(num_queries, width, generator=generator).to(device))
    best = float("inf")
    for _ in range(_TRIAL_ROUNDS):
        start = time.perf_counter()
        # Copying the result to the processor waits for the accelerator.
        candidate.similarities(tokens, queries).amax().item()
        best = min(best, time.perf_counter() - start)
    return best
