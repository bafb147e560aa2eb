"""Ragged token bags: one bag a video, held end to end in one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenBags:
    """The bags of one level.

    Attributes:
        tokens: float16 [total, D], the bags one after another.
        offsets: int64 [num_bags + 1]; bag i is `tokens[offsets[i]:offsets[i + 1]]`.
    """

    tokens: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def from_bags(cls, bags: Sequence[Tensor]) -> TokenBags:
        """Joins bags [tokens, D] of any lengths; at least one bag."""
        lengths = torch.tensor([0, *(len(bag) for bag in bags)])
        return cls(tokens=torch.cat([bag.half() for bag in bags]), offsets=lengths.cumsum(0))

    def select(self, rows: Sequence[int]) -> TokenBags:
        """The bags of these rows, at least one, in this order."""
        if list(rows) == list(range(len(self))):
            return self
        return TokenBags.from_bags([self.bag(row) for row in rows])

    def join(self, other: TokenBags) -> TokenBags:
        """These bags followed by others."""
        return TokenBags(
            tokens=torch.cat([self.tokens, other.tokens]),
            offsets=torch.cat([self.offsets, other.offsets[1:] + self.offsets[-1]]),
        )

    def bag(self, row: int) -> Tensor:
        """The tokens of one bag, float16 [tokens, D]."""
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

    def padded(self, first: int, stop: int) -> tuple[Tensor, Tensor]:
        """Bags `first` to `stop`, padded on the right to the longest of them.

        Returns:
            float32 [bags, longest, D] tokens, and bool [bags, longest], true on real tokens.
        """
        starts, stops = self.offsets[first:stop], self.offsets[first + 1 : stop + 1]
        places = torch.arange(int((stops - starts).max()))
        mask = places < (stops - starts)[:, None]
        rows = (starts[:, None] + places).clamp(max=len(self.tokens) - 1)
        return self.tokens[rows].float(), mask
