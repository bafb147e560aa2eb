"""A transform code for tokens: turned to the axes of their second moment, with bits given to axes by variance.

Tokens of a trained model fill few of their dimensions. On the eigenvectors of their second moment (principal component
analysis without centring) their numbers are uncorrelated, so each can be rounded alone, and in the mean square least
is lost where the bits of a token are shared out by variance (`axis_bits.py`). Axes without bits are left out. Of
tokens that fill all directions alike every axis gets as many bits, which is what can be done for them.
"""

from __future__ import annotations

import itertools
import math
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
import xxhash
from torch import Tensor

from video_colbert.index.search.axis_bits import MOST_BITS, allocate_bits, fitted_axes, normal_axes

_MAGIC = b"token code 1\n"
_DIGEST_BYTES = 16
# Width, bytes of a token, axes that have bits, length of tokens.
_HEAD = struct.Struct("<IIIf")
_LEVELS = 2**MOST_BITS
# Tokens that are encoded at once.
_BLOCK = 2**14
# Tokens a dimension from which on a sample is taken for all tokens, and tokens that levels are fitted to, at least and
# at most.
_ENOUGH = 128
_FEWEST_FITTED, _MOST_FITTED = 2**13, 2**14
# Bits that an axis may get above those of a normal distribution of its variance.
_MORE_BITS = 2
# Tokens of all directions alike that a small sample is mixed with, for each dimension.
_PRIORS = (0.125, 1.0, 8.0)
# Lengths of tokens that differ by no more are the same.
_SAME_LENGTH = 0.01


@dataclass(frozen=True, eq=False)
class TransformCode:
    """What tokens of some dimension are encoded by; make one with `learn` or `from_bytes`.

    Attributes:
        axes: float16 [D, A], orthonormal columns, of the largest variance first.
        offset: float32 [D], the mean of what tokens have outside of the axes.
        levels: of each axis the numbers that its bits name, float32 [2^bits], increasing. An encoded token is one
            string of bits, from the lowest bit of its first byte on: those of the first axis, of the second, and on.
        num_bytes: bytes of a token, B.
        length: of all tokens, to which decoded ones are brought; 0 where lengths differ.

    Example:
        >>> tokens = torch.nn.functional.normalize(torch.randn(4000, 16), dim=1)
        >>> code = TransformCode.learn(tokens, num_bytes=8)
        >>> stored = code.encode(tokens)
        >>> stored.shape, stored.dtype, code.decode(stored).shape
        (torch.Size([4000, 8]), torch.uint8, torch.Size([4000, 16]))
    """

    axes: Tensor
    offset: Tensor
    levels: tuple[Tensor, ...]
    num_bytes: int
    length: float

    @property
    def width(self) -> int:
        """Numbers of a token, D."""
        return len(self.axes)

    @classmethod
    @torch.inference_mode()
    def learn(cls, tokens: Tensor, num_bytes: int) -> TransformCode:
        """Learns a code from a sample.

        The axes of a small sample hold more of it than of other tokens. So it is mixed with tokens of all directions
        alike, or axes at random are taken, whichever loses least of the second half of the sample where the first
        half is learned from.

        Args:
            tokens: float [n, D], at least one, in an order in which like ones are neighbours, as those of a video.
            num_bytes: bytes of an encoded token, at least 1 and at most D.

        Raises:
            ValueError: there are no tokens, one is not finite, or the number of bytes is out of range.
        """
        width = tokens.shape[1]
        if not 1 <= num_bytes <= width:
            raise ValueError(f"an encoded token of {width} numbers takes 1 to {width} bytes, not {num_bytes}")
        sample = _finite(tokens)
        if not len(sample):
            raise ValueError("a token code is learned from at least one token")
        ways: list[float | None] = [math.inf, *(prior * width for prior in _PRIORS)]
        if len(sample) >= _FEWEST_FITTED:
            ways.append(None)
        if len(sample) >= max(_FEWEST_FITTED, _ENOUGH * width):
            best = None
        elif len(sample) == 1:
            best = math.inf
        else:
            first, second = sample[: len(sample) // 2], sample[len(sample) // 2 :]
            best = min(ways, key=lambda way: cls._learned(first, num_bytes, way).lost_share(second))
        return cls._learned(sample, num_bytes, best)

    @classmethod
    def _learned(cls, sample: Tensor, num_bytes: int, prior: float | None) -> TransformCode:
        """A code by a sample and so many tokens of all directions alike; None for the levels that fit the sample."""
        width, lengths = sample.shape[1], sample.norm(dim=1)
        length = float(lengths.mean())
        every_axis: Tensor
        if prior == math.inf:
            drawn = torch.randn(width, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
            every_axis = torch.linalg.qr(drawn).Q.float()
        else:
            moment = (sample.T @ sample).double() / len(sample)
            every_axis = torch.linalg.eigh(moment).eigenvectors.flip(1).float()
        # With no prior, the sample itself.
        share = len(sample) / (len(sample) + (prior or 0.0))
        turned, alike = sample @ every_axis, float(lengths.double().square().mean()) / width
        means = share * turned.double().mean(dim=0)
        variances = share * turned.double().square().mean(dim=0) + (1.0 - share) * alike - means.square()
        levels, losses = normal_axes(means, variances.clamp(min=0.0))
        if prior is None:
            most_bits = (allocate_bits(losses, 8 * num_bytes) + _MORE_BITS).clamp(max=MOST_BITS)
            levels, losses = fitted_axes(turned[:: -(-len(sample) // _MOST_FITTED)], most_bits)
        bits = allocate_bits(losses, 8 * num_bytes)
        kept = (bits > 0).nonzero()[:, 0]
        return cls(
            axes=every_axis[:, kept].half(),
            offset=every_axis @ means.float().index_fill(0, kept, 0.0),
            levels=tuple(levels[bits[axis]][axis].float() for axis in kept.tolist()),
            num_bytes=num_bytes,
            length=length if (lengths - length).abs().max() <= _SAME_LENGTH * length else 0.0,
        )

    def encodes(self, tokens: Tensor) -> bool:
        """Whether tokens, float [T, D], have the length that the code is of."""
        lengths = tokens.float().norm(dim=1)
        return not self.length or not bool(((lengths - self.length).abs() > 2 * _SAME_LENGTH * self.length).any())

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens as bytes: for each axis the number of the nearest level.

        Args:
            tokens: float [T, D].

        Returns:
            uint8 [T, B].

        Raises:
            ValueError: tokens have another width or length, or one is not finite.
        """
        if tokens.shape[1] != self.width:
            raise ValueError(f"the code is of tokens of {self.width} numbers, not {tokens.shape[1]}")
        if not self.encodes(_finite(tokens)):
            raise ValueError(f"the code is of tokens of length {self.length:.4g}, and one has another length")
        return self._encoded(tokens)

    @torch.inference_mode()
    def _encoded(self, tokens: Tensor) -> Tensor:
        """Tokens of any length as bytes."""
        stored = torch.zeros(len(tokens), self.num_bytes, dtype=torch.int32)
        borders = torch.full((len(self.levels), _LEVELS - 1), torch.inf)
        for axis, levels in enumerate(self.levels):
            borders[axis, : len(levels) - 1] = (levels[1:] + levels[:-1]) / 2
        axes = self.axes.float()
        for first in range(0, len(tokens), _BLOCK):
            turned = (_finite(tokens[first : first + _BLOCK]) @ axes).T.contiguous()
            numbers = torch.searchsorted(borders, turned, out_int32=True)
            part = stored[first : first + _BLOCK]
            for of_axis, levels, (place, shift) in zip(numbers, self.levels, self._starts, strict=True):
                shifted = of_axis << shift
                for byte in range(-(-(shift + _bits(levels)) // 8)):
                    part[:, place + byte] |= (shifted >> 8 * byte) & 255
        return stored.to(torch.uint8)

    @torch.inference_mode()
    def decode(self, stored: Tensor) -> Tensor:
        """Tokens from bytes.

        Args:
            stored: uint8 [T, B].

        Returns:
            float32 [T, D].

        Raises:
            ValueError: there are more or fewer bytes.
        """
        if stored.shape[1] != self.num_bytes:
            raise ValueError(f"a token takes {self.num_bytes} bytes with this code, not {stored.shape[1]}")
        tokens = torch.addmm(self.offset, self.decode_axes(stored), self.axes.float().T)
        return F.normalize(tokens, dim=1).mul_(self.length) if self.length else tokens

    @torch.inference_mode()
    def decode_axes(self, stored: Tensor) -> Tensor:
        """What bytes say of the axes: but for their length, tokens are these numbers times the axes, plus the offset.

        Args:
            stored: uint8 [T, B].

        Returns:
            float32 [T, A].
        """
        turned = np.empty((len(self.levels), len(stored)), np.float32)
        columns = np.zeros((self.num_bytes + 2, len(stored)), np.uint32)
        columns[:-2] = stored.numpy().T
        # Each byte with the next two above it, which hold all bits of an axis that begins there.
        columns[:-2] |= (columns[1:-1] << 8) | (columns[2:] << 16)
        for axis, ((place, shift), levels) in enumerate(zip(self._starts, self.levels, strict=True)):
            numbers = (columns[place] >> shift) & (len(levels) - 1)
            # No number is too large, so nothing is clipped; numpy checks nothing then.
            np.take(levels.numpy(), numbers, out=turned[axis], mode="clip")
        return torch.from_numpy(turned).T

    def lost_share(self, tokens: Tensor) -> float:
        """The share of the tokens' energy, the sum of all squares, that encoding loses; 0 of no tokens."""
        energy = float(tokens.double().square().sum())
        lost = float((self.decode(self._encoded(tokens)).double() - tokens.double()).square().sum())
        return lost / energy if energy else 0.0

    def to_bytes(self) -> bytes:
        """The code as bytes that `from_bytes` reads, with a digest."""
        bits = np.array(list(map(_bits, self.levels)), np.uint8)
        parts = [self.axes.numpy(), self.offset.numpy(), bits, torch.cat(self.levels).numpy()]
        head = _MAGIC + _HEAD.pack(self.width, self.num_bytes, len(self.levels), self.length)
        content = head + b"".join(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in parts)
        return content + xxhash.xxh3_128_digest(content)

    @classmethod
    def from_bytes(cls, stored: bytes) -> TransformCode:
        """Reads what `to_bytes` made.

        Raises:
            ValueError: it is not what was written.
        """
        content, digest = stored[:-_DIGEST_BYTES], stored[-_DIGEST_BYTES:]
        if not content.startswith(_MAGIC) or xxhash.xxh3_128_digest(content) != digest:
            raise ValueError("the token code is not what was written")
        width, num_bytes, count, length = _HEAD.unpack_from(content, len(_MAGIC))
        at = len(_MAGIC) + _HEAD.size

        def read(kind: str, number: int) -> Tensor:
            nonlocal at
            values = np.frombuffer(content, np.dtype(kind), number, at)
            at += values.nbytes
            return torch.from_numpy(values.astype(values.dtype.newbyteorder("=")))

        axes = read("<f2", width * count).view(width, count)
        offset, bits = read("<f4", width), read("u1", count)
        sizes = [2**number for number in bits.tolist()]
        levels = torch.split(read("<f4", sum(sizes)), sizes)
        return cls(axes, offset, levels, num_bytes, length)

    @cached_property
    def _starts(self) -> list[tuple[int, int]]:
        """For each axis the byte in which its bits begin, and how many bits of it are others'."""
        ends = itertools.accumulate(map(_bits, self.levels))
        return [divmod(end - _bits(levels), 8) for end, levels in zip(ends, self.levels, strict=True)]


def _finite(tokens: Tensor) -> Tensor:
    tokens = tokens.float()
    if not torch.isfinite(tokens).all():
        raise ValueError("a token that is not finite cannot be encoded")
    return tokens


def _bits(levels: Tensor) -> int:
    """The bits that name one of some levels, whose number is a power of 2."""
    return len(levels).bit_length() - 1
