"""How tokens are stored: float16, int8 with a scale a token, or 4 bits a number after a rotation.

A codec turns tokens [T, D] into bytes [T, B] and back, a token at a time, so a table can hold each token, or each bag,
as a run of bytes of known length. Scales are float16 in the token's last two bytes (little endian).

The 4-bit codec first turns each token by a fixed orthogonal matrix (random signs, then a Hadamard matrix), which
makes the numbers of any token about normally distributed, and stores the nearest of the 16 levels that lose least of a
normal distribution (Max, "Quantizing for minimum distortion", IRE Transactions on Information Theory 6(1), 1960,
table I). Decoding turns back, so decoded tokens can be compared with queries as they are.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.index.search.token_bags import TokenBags

_SCALE_BYTES = 2
# The positive half of Max's 16 output levels for a normal distribution of variance 1.
_MAX_LEVELS = (0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733)
_SMALLEST_NORMAL = 6.1e-5


class TokenCodec(Protocol):
    """A way to store tokens.

    Attributes:
        name: its name in options and in stored metadata.
    """

    name: str

    def bytes_per_token(self, width: int) -> int:
        """Bytes that a token of `width` numbers takes.

        Raises:
            ValueError: tokens of this width cannot be stored this way.
        """
        ...

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens as bytes.

        Args:
            tokens: float [T, D].

        Returns:
            uint8 [T, bytes_per_token(D)].
        """
        ...

    def decode(self, stored: Tensor, width: int) -> Tensor:
        """Tokens from bytes.

        Args:
            stored: uint8 [T, bytes_per_token(width)].
            width: numbers of a token, D.

        Returns:
            float16 [T, D].
        """
        ...


class Float16Codec:
    """Two bytes a number."""

    name = "float16"

    def bytes_per_token(self, width: int) -> int:
        """Two bytes a number."""
        return 2 * width

    def encode(self, tokens: Tensor) -> Tensor:
        """Rounds to float16."""
        import torch

        return tokens.half().contiguous().view(torch.uint8)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        """The rounded numbers."""
        import torch

        return _checked(self, stored, width).contiguous().view(torch.float16)


class Int8Codec:
    """A byte a number and a scale a token, 1/127 of its largest magnitude."""

    name = "int8"

    def bytes_per_token(self, width: int) -> int:
        """A byte a number and the scale."""
        return width + _SCALE_BYTES

    def encode(self, tokens: Tensor) -> Tensor:
        """Divides by the scale, as it is stored, and rounds."""
        import torch

        tokens = tokens.float()
        scales = _storable(tokens.abs().amax(dim=1) / 127)
        values = (tokens / scales.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
        return torch.cat([values.view(torch.uint8), scales[:, None].view(torch.uint8)], dim=1)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        """Values times scales."""
        import torch

        stored = _checked(self, stored, width)
        scales = stored[:, width:].contiguous().view(torch.float16).float()
        return (stored[:, :width].contiguous().view(torch.int8).float() * scales).half()


class Rotated4BitCodec:
    """Half a byte a number and a scale a token, after a rotation."""

    name = "int4"

    def bytes_per_token(self, width: int) -> int:
        """Half a byte a number and the scale; the width must be even."""
        if width % 2:
            raise ValueError(f"the codec int4 stores two numbers a byte, so the width must be even, not {width}")
        return width // 2 + _SCALE_BYTES

    def encode(self, tokens: Tensor) -> Tensor:
        """Turns, takes the nearest level of each number and the scale that is best for these levels."""
        import torch

        width = tokens.shape[1]
        self.bytes_per_token(width)
        turned = _turned(tokens.float(), inverse=False)
        deviations = turned.square().mean(dim=1, keepdim=True).sqrt().clamp(min=_SMALLEST_NORMAL)
        levels = _levels()
        codes = torch.bucketize(turned / deviations, (levels[1:] + levels[:-1]) / 2)
        chosen = levels[codes]
        # Least squares: the scale s that minimises |turned - s * chosen|.
        scales = _storable((turned * chosen).sum(dim=1) / chosen.square().sum(dim=1))
        pairs = codes.to(torch.uint8).view(len(tokens), width // 2, 2)
        packed = pairs[:, :, 0] | (pairs[:, :, 1] << 4)
        return torch.cat([packed, scales[:, None].view(torch.uint8)], dim=1)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        """Levels times scales, turned back."""
        import torch

        stored = _checked(self, stored, width)
        packed, scales = stored[:, : width // 2], stored[:, width // 2 :].contiguous().view(torch.float16).float()
        codes = torch.stack([packed & 15, packed >> 4], dim=2).view(len(stored), width)
        return _turned(_levels()[codes.long()] * scales, inverse=True).half()


_CODECS: tuple[TokenCodec, ...] = (Float16Codec(), Int8Codec(), Rotated4BitCodec())
CODEC_NAMES = tuple(codec.name for codec in _CODECS)


def token_codec(name: str) -> TokenCodec:
    """A codec by name.

    Raises:
        ValueError: there is none of this name.
    """
    for codec in _CODECS:
        if codec.name == name:
            return codec
    raise ValueError(f"the codec must be one of {', '.join(CODEC_NAMES)}; got {name!r}")


def encode_bags(codec: TokenCodec, bags: TokenBags) -> TokenBags:
    """The bags as a reader will find them after they were stored with this codec."""
    from video_colbert.index.search.token_bags import TokenBags

    return TokenBags(codec.decode(codec.encode(bags.tokens), bags.dimension), bags.offsets)


def _checked(codec: TokenCodec, stored: Tensor, width: int) -> Tensor:
    expected = codec.bytes_per_token(width)
    if stored.shape[1] != expected:
        raise ValueError(
            f"a token of width {width} takes {expected} bytes with the codec {codec.name}, not {stored.shape[1]}"
        )
    return stored


def _storable(scales: Tensor) -> Tensor:
    """Scales as float16, none of them 0."""
    return scales.clamp(min=_SMALLEST_NORMAL).half()


def _levels() -> Tensor:
    import torch

    positive = torch.tensor(_MAX_LEVELS)
    return torch.cat([-positive.flip(0), positive])


def _turned(tokens: Tensor, *, inverse: bool) -> Tensor:
    """Tokens times the orthogonal matrix of their width, or times its inverse."""
    signs, hadamard = _rotation(tokens.shape[1])
    signed = tokens if inverse else tokens * signs
    blocks = signed.reshape(len(tokens), tokens.shape[1] // len(hadamard), len(hadamard))
    turned = (blocks @ hadamard).flatten(1)
    result: Tensor = turned * signs if inverse else turned
    return result


@functools.cache
def _rotation(width: int) -> tuple[Tensor, Tensor]:
    """Signs [width] and a symmetric, orthogonal Hadamard matrix of the largest power of 2 that divides the width.

    The signs are bits of SHA-256 rather than of a generator: what is stored must be readable with another torch.
    """
    import torch

    block = width & -width
    digests = b"".join(hashlib.sha256(f"rotation {place}".encode()).digest() for place in range(-(-width // 256)))
    bits = torch.tensor([digests[place // 8] >> place % 8 & 1 for place in range(width)])
    hadamard = torch.ones(1, 1)
    while len(hadamard) < block:
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)], 0)
    return 1.0 - 2.0 * bits, hadamard / block**0.5
