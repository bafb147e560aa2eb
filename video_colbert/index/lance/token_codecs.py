"""How tokens are stored: float32, float16, int8 with a scale a token, or by a transform code that an index learns.

A codec turns tokens [T, D] into bytes [T, B] and back, a token at a time, so a table can hold each token, or each bag,
as a run of bytes of known length. The scale of int8 is float16 in the token's last two bytes (little endian).

A compact token begins with a byte that names its code, for an index may learn another one; the rest is what that code
makes of it, half a byte a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from video_colbert.errors import IndexStoreError

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.index.search.token_bags import TokenBags
    from video_colbert.index.search.transform_code import TransformCode

_SCALE_BYTES = 2
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
            float16 [T, D]; float32 of the codec of that name.
        """
        ...


class Float32Codec:
    """Four bytes a number: scores are those of the model itself."""

    name = "float32"

    def bytes_per_token(self, width: int) -> int:
        """Four bytes a number."""
        return 4 * width

    def encode(self, tokens: Tensor) -> Tensor:
        """The numbers as they are."""
        import torch

        return tokens.float().contiguous().view(torch.uint8)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        """The numbers."""
        import torch

        # No tokens have no strides that could be viewed.
        if not len(stored):
            return torch.zeros(0, width)
        return _checked(self, stored, width).contiguous().view(torch.float32)


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


class CompactCodec:
    """Half a byte a number and one that names the code, which is learned from tokens of the level.

    Args:
        codes: by number, 0 to 255.
        number: of the code that new tokens are encoded by; None where none was learned.
    """

    name = "compact"

    def __init__(self, codes: Mapping[int, TransformCode] | None = None, number: int | None = None) -> None:
        self._codes = codes or {}
        self._number = number

    def bytes_per_token(self, width: int) -> int:
        """Half a byte a number and the code's."""
        return 1 + self.code_bytes(width)

    @staticmethod
    def code_bytes(width: int) -> int:
        """Bytes that a code makes of a token of `width` numbers."""
        return -(-width // 2)

    def encode(self, tokens: Tensor) -> Tensor:
        """What the newest code of the level makes of tokens."""
        import torch

        stored = torch.zeros(len(tokens), self.bytes_per_token(tokens.shape[1]), dtype=torch.uint8)
        if len(tokens):
            if self._number is None:
                raise ValueError("the codec compact has learned no code for these tokens")
            stored[:, 0] = self._number
            stored[:, 1:] = self._codes[self._number].encode(tokens)
        return stored

    def decode(self, stored: Tensor, width: int) -> Tensor:
        """Tokens by the codes that they name.

        Raises:
            IndexStoreError: there is no such code, or it is of tokens of another width.
        """
        import torch

        stored = _checked(self, stored, width)
        tokens = torch.zeros(len(stored), width, dtype=torch.float16)
        for number in torch.unique(stored[:, 0]).tolist():
            code = self._codes.get(number)
            if code is None or code.width != width:
                raise IndexStoreError(
                    f"the index is damaged: it has tokens of {width} numbers that are stored by the code {number}, "
                    "which is not there; `video-colbert repair` goes back to the last version that reads"
                )
            rows = stored[:, 0] == number
            tokens[rows] = code.decode(stored[rows, 1:]).half()
        return tokens


_CODECS: tuple[TokenCodec, ...] = (Float16Codec(), Int8Codec(), CompactCodec(), Float32Codec())
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

    return TokenBags(codec.decode(codec.encode(bags.tokens), bags.dimension), bags.offsets, bags.weights)


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
