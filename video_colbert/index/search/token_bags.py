"""Ragged token bags: one bag a video, held end to end in one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Numbers that are brought to float32 at once.
_BLOCK_NUMBERS = 2**22


@dataclass(frozen=True)
class TokenBags:
    """The bags of one level.

    Attributes:
        tokens: float16 [total, D], the bags one after another.
        offsets: int64 [num_bags + 1]; bag i is `tokens[offsets[i]:offsets[i + 1]]`.
        weights: float32 [total], what each token counts by, for an interaction that weighs tokens; None for others.
    """

    tokens: Tensor
    offsets: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """Tokens of each bag, int64 [num_bags]."""
        return self.offsets.diff()

    @property
    def dimension(self) -> int:
        """Numbers of a token, D."""
        return int(self.tokens.shape[1])

    @classmethod
    def from_bags(cls, bags: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> TokenBags:
        """Joins bags [tokens, D] of any lengths, at least one bag, and the weights [tokens] of each."""
        lengths = torch.tensor([0, *(len(bag) for bag in bags)])
        joined = None if weights is None else torch.cat([of_bag.float() for of_bag in weights])
        return cls(torch.cat([bag.half() for bag in bags]), lengths.cumsum(0), joined)

    @classmethod
    def concatenate(cls, parts: Sequence[TokenBags]) -> TokenBags:
        """The bags of several collections, at least one, one collection after another.

        Raises:
            ValueError: some have weights and some have none.
        """
        if len(parts) == 1:
            return parts[0]
        lengths = torch.cat([part.lengths for part in parts])
        weights = [part.weights for part in parts if part.weights is not None]
        if len(weights) not in (0, len(parts)):
            raise ValueError(f"all parts or none must have weights of tokens, got {len(weights)} of {len(parts)}")
        return cls(
            torch.cat([part.tokens for part in parts]),
            torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
            torch.cat(weights) if weights else None,
        )

    def select(self, rows: Sequence[int] | Tensor) -> TokenBags:
        """The bags of these rows, in this order; a row may come again.

        Args:
            rows: 0 to num_bags - 1.
        """
        chosen = torch.as_tensor(rows, dtype=torch.int64)
        if len(chosen) == len(self) and torch.equal(chosen, torch.arange(len(self))):
            return self
        lengths = self.lengths[chosen]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        # Token t of the result lies as far behind its bag's old start as behind its new one.
        shifts = (self.offsets[chosen] - offsets[:-1]).repeat_interleave(lengths)
        places = torch.arange(len(shifts)) + shifts
        return TokenBags(
            self.tokens.index_select(0, places), offsets, None if self.weights is None else self.weights[places]
        )

    def part(self, first: int, stop: int) -> TokenBags:
        """Bags `first` to `stop` (excluded) without copying their tokens."""
        begin, end = int(self.offsets[first]), int(self.offsets[stop])
        weights = None if self.weights is None else self.weights[begin:end]
        return TokenBags(self.tokens[begin:end], self.offsets[first : stop + 1] - begin, weights)

    def bag(self, row: int) -> Tensor:
        """The tokens of one bag, float16 [tokens, D]."""
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

    def means(self) -> Tensor:
        """The mean token of each bag, float32 [num_bags, D]; zeros for a bag without tokens."""
        sums = torch.zeros(len(self), self.dimension)
        bag_of_token = torch.arange(len(self)).repeat_interleave(self.lengths)
        block = max(1, _BLOCK_NUMBERS // self.dimension)
        for rows, tokens in zip(torch.split(bag_of_token, block), torch.split(self.tokens, block), strict=True):
            sums.index_add_(0, rows, tokens.float())
        return sums / self.lengths.clamp(min=1)[:, None]

    def padded(self, first: int, stop: int) -> tuple[Tensor, Tensor]:
        """Bags `first` to `stop`, padded on the right to the longest of them, or to one token.

        Returns:
            float32 [bags, longest, D] tokens, and bool [bags, longest], true on real tokens.
        """
        starts, lengths = self.offsets[first:stop], self.lengths[first:stop]
        longest = int(lengths.max())
        if longest and longest == int(lengths.min()):
            tokens = self.tokens[int(starts[0]) : int(self.offsets[stop])].view(len(lengths), longest, -1)
            return tokens.float(), torch.ones(tokens.shape[:2], dtype=torch.bool)
        places = torch.arange(max(1, longest))
        mask = places < lengths[:, None]
        rows = (starts[:, None] + places).clamp(max=max(0, len(self.tokens) - 1))
        if not len(self.tokens):
            return torch.zeros(*mask.shape, self.tokens.shape[1]), mask
        return self.tokens[rows].float(), mask

    def padded_weights(self, first: int, stop: int) -> Tensor | None:
        """The weights of bags `first` to `stop` as `padded` arranges their tokens; 0 on padding.

        Returns:
            float32 [bags, longest], or None for tokens without weights.
        """
        if self.weights is None:
            return None
        lengths = self.lengths[first:stop]
        places = torch.arange(max(1, int(lengths.max())))
        padded = torch.zeros(len(lengths), len(places))
        padded[places < lengths[:, None]] = self.weights[int(self.offsets[first]) : int(self.offsets[stop])]
        return padded
