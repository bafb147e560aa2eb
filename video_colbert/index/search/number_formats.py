"""Number formats in which many tokens are compared with a query, and which of them this processor is fastest at.

A format loses a little of each vector. What it loses is measured when the tokens are stored, so that a scorer
can say how far from the exact score a fast one may be (`scoring.py`).
"""

from __future__ import annotations

import functools
import time
from typing import Protocol

import torch
from torch import Tensor

from video_colbert.index.search.kept_format import keep_format, kept_format

# Tokens, query tokens and width of the product that the formats are timed on; about the size of one block.
_TRIAL_SHAPE = (8192, 32, 512)
_TRIAL_ROUNDS = 5
_INT8_MAX = 127


class NumberFormat(Protocol):
    """A number format.

    Attributes:
        name: its name in torch.
        rounding: by how much a similarity is rounded, relative to itself.
    """

    name: str
    rounding: float

    def scales(self, vectors: Tensor) -> Tensor | None:
        """The smallest factors that the values of float vectors [n, D] can have, float32 [n]; None for no factors."""
        ...

    def values(self, vectors: Tensor, scales: Tensor | None) -> Tensor:
        """Brings float vectors [n, D] into the format.

        Args:
            vectors: [n, D].
            scales: a factor of each vector, not below its smallest; None for a format without factors.

        Returns:
            [n, D] in the format's type. A vector is about its factor times its values.
        """
        ...

    def products(self, tokens: Tensor, queries: Tensor) -> Tensor:
        """Inner products of values [t, D] and [m, D]: int32 or float32 [t, m]."""
        ...


class Int8Format:
    """8-bit integers with a factor, multiplied as integers."""

    name = "int8"
    rounding = 0.0

    def scales(self, vectors: Tensor) -> Tensor:
        """1/127 of each vector's largest magnitude."""
        return vectors.float().abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / _INT8_MAX

    def values(self, vectors: Tensor, scales: Tensor | None) -> Tensor:
        """Divides and rounds."""
        assert scales is not None  # noqa: S101 - made by `scales`
        return (vectors.float() / scales[:, None]).round_().to(torch.int8)

    def products(self, tokens: Tensor, queries: Tensor) -> Tensor:
        """Integer products, exact."""
        if tokens.shape[1] == 1:
            # The transpose of one column looks contiguous, and PyTorch multiplies it with what lies behind it.
            return tokens.int() * queries.int().T
        return torch._int_mm(tokens, queries.T)


class FloatFormat:
    """Floating point of 16 or 32 bits."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.name = str(dtype).removeprefix("torch.")
        # The product comes out in the format itself: half a unit in the last place.
        self.rounding = torch.finfo(dtype).eps / 2

    def scales(self, vectors: Tensor) -> None:
        """No factors."""
        return

    def values(self, vectors: Tensor, scales: Tensor | None) -> Tensor:
        """Rounds to the format."""
        return vectors.to(self.dtype)

    def products(self, tokens: Tensor, queries: Tensor) -> Tensor:
        """Products, rounded to the format."""
        return (tokens @ queries.T).float()


_FORMATS: tuple[NumberFormat, ...] = (
    Int8Format(),
    FloatFormat(torch.bfloat16),
    FloatFormat(torch.float16),
    FloatFormat(torch.float32),
)


def restored(values: Tensor, scales: Tensor | None) -> Tensor:
    """The vectors that values stand for, float32 [n, D].

    Args:
        values: [n, D] in a format's type.
        scales: float32 [n], a factor of each, or None.
    """
    return values.float() if scales is None else values.float() * scales[:, None]


@functools.cache
def fastest_format(device: torch.device) -> NumberFormat:
    """The number format in which this device compares tokens fastest, among those it does correctly.

    Each format is tried, in some milliseconds: a processor without the instructions for a type may refuse it, emulate
    it or saturate, and no name of a processor tells. What was found is kept in the user's cache folder for other
    processes on this processor, which only look whether it is correct.

    Args:
        device: where the tokens will be.
    """
    # Accelerators multiply integers only in shapes of whole tiles, and floats as fast.
    tried = [candidate for candidate in _FORMATS if device.type == "cpu" or isinstance(candidate, FloatFormat)]
    kept = kept_format() if device.type == "cpu" else None
    for candidate in tried:
        if candidate.name == kept and is_correct(candidate, device):
            return candidate
    correct = [candidate for candidate in tried if is_correct(candidate, device)]
    fastest = min(correct, key=lambda candidate: _seconds(candidate, device))
    if device.type == "cpu":
        keep_format(fastest.name)
    return fastest


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
        stored_tokens, stored_queries = (
            candidate.values(vectors, candidate.scales(vectors)) for vectors in (tokens.to(device), queries.to(device))
        )
        found = candidate.products(stored_tokens, stored_queries).cpu().double()
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    exact_tokens, exact_queries = stored_tokens.cpu().double(), stored_queries.cpu().double()
    bound = (candidate.rounding + 1e-5) * exact_tokens.abs() @ exact_queries.abs().T
    return bool(((found - exact_tokens @ exact_queries.T).abs() <= bound).all())


def _seconds(candidate: NumberFormat, device: torch.device) -> float:
    num_tokens, num_queries, width = _TRIAL_SHAPE
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(num_tokens + num_queries, width, generator=generator).to(device)
    values = candidate.values(vectors, candidate.scales(vectors))
    tokens, queries = values[:num_tokens], values[num_tokens:]
    best = float("inf")
    for _ in range(_TRIAL_ROUNDS):
        start = time.perf_counter()
        # Copying the result to the processor waits for the accelerator.
        candidate.products(tokens, queries).amax().item()
        best = min(best, time.perf_counter() - start)
    return best
