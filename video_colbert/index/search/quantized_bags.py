"""Token bags and queries in a number format, their fast scores and the bound of their error."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from video_colbert.encoding.encoded import QueryBags
from video_colbert.index.search.number_formats import NumberFormat, restored
from video_colbert.index.search.token_bags import TokenBags

# Similarities, and bytes of the tokens they come from, of one block: they stay in a processor's cache.
_BLOCK_SIMILARITIES = 2**18
_BLOCK_BYTES = 2**21
_BLOCK_SIMILARITIES_ON_ACCELERATOR = 2**26
# Standard deviations of a single inner product's error, taken for the error of a mean of many.
_DEVIATIONS = 4.0
# Tokens that are brought into the format at once, unless one bag has more.
_STORED_AT_ONCE = 2**16


@dataclass(frozen=True)
class StoredBags:
    """The bags of one level in a number format.

    The tokens x' of a bag are its scale times their values. They share the scale, so that the largest product with
    a query token is found among the values: one factor a bag is left to apply, and integers stay integers.

    Attributes:
        values: [total, D] in the format's type, the bags one after another.
        scales: float32 [N], or None in a format without.
        offsets: int64 [N + 1]; bag i is `values[offsets[i]:offsets[i + 1]]`.
        norms: float32 [N], the largest |x| of each bag.
        losses: float32 [N], the largest |x - x'| of each bag.
    """

    values: Tensor
    scales: Tensor | None
    offsets: Tensor
    norms: Tensor
    losses: Tensor

    def __len__(self) -> int:
        return len(self.norms)

    @classmethod
    def of(cls, bags: TokenBags, number_format: NumberFormat, device: torch.device) -> StoredBags:
        """Brings bags into a number format, in blocks that bound memory."""
        # The bag in which each block's worth of tokens ends is the last of its block.
        ends = torch.tensor(range(_STORED_AT_ONCE, len(bags.tokens), _STORED_AT_ONCE), dtype=torch.int64)
        stops = torch.searchsorted(bags.offsets, ends)
        borders = torch.unique(torch.cat([torch.tensor([0]), stops, torch.tensor([len(bags)])])).tolist()
        parts = [bags.part(first, stop) for first, stop in itertools.pairwise(borders)] or [bags]
        return cls.concatenate([cls._of_block(part, number_format, device) for part in parts])

    @classmethod
    def concatenate(cls, parts: Sequence[StoredBags]) -> StoredBags:
        """The bags of several collections, at least one, of one format, one collection after another."""
        if len(parts) == 1:
            return parts[0]
        scales = [part.scales for part in parts if part.scales is not None]
        lengths = torch.cat([part.offsets.diff() for part in parts])
        return cls(
            torch.cat([part.values for part in parts]),
            torch.cat(scales) if scales else None,
            torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
            torch.cat([part.norms for part in parts]),
            torch.cat([part.losses for part in parts]),
        )

    def select(self, rows: Tensor) -> StoredBags:
        """The bags of these rows, in this order.

        Args:
            rows: int64 positions, on the device of the bags.
        """
        lengths = self.offsets.diff()[rows]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shifts = (self.offsets[rows] - offsets[:-1]).repeat_interleave(lengths)
        chosen = torch.arange(len(shifts), device=shifts.device) + shifts
        scales = None if self.scales is None else self.scales[rows]
        return StoredBags(self.values.index_select(0, chosen), scales, offsets, self.norms[rows], self.losses[rows])

    @classmethod
    def _of_block(cls, bags: TokenBags, number_format: NumberFormat, device: torch.device) -> StoredBags:
        tokens, offsets = bags.tokens.to(device).float(), bags.offsets.to(device)
        bag_scales = token_scales = number_format.scales(tokens)
        if token_scales is not None:
            bag_scales = _largest(token_scales, offsets)
            token_scales = bag_scales.repeat_interleave(offsets.diff())
        values = number_format.values(tokens, token_scales)
        losses = (tokens - restored(values, token_scales)).norm(dim=1)
        return cls(values, bag_scales, offsets, _largest(tokens.norm(dim=1), offsets), _largest(losses, offsets))


class PreparedQueries:
    """Tokens of queries in a number format.

    Args:
        queries: the token bags of Nq queries.
        number_format: the format of the bags they will be compared with.
        device: the device of those bags.
        is_mean: whether a score is the mean of the maxima over the tokens of a query; else it is their sum.
    """

    def __init__(
        self, queries: QueryBags, number_format: NumberFormat, device: torch.device, *, is_mean: bool = True
    ) -> None:
        mask = queries.mask.bool().to(device)
        # The tokens that count, of all queries end to end.
        tokens = queries.embeds.to(device)[mask].float()
        self._has_tokens = mask.any(dim=1)
        self._format = number_format
        scales = number_format.scales(tokens)
        self._values = number_format.values(tokens, scales)
        stored = restored(self._values, scales)
        # [Nq, m]: turns a row a token into the mean, or sum, over the tokens of each query; 0 for one without tokens.
        shares = torch.zeros(len(mask), len(tokens), device=device)
        query_of_token = mask.nonzero()[:, 0]
        counts = mask.sum(1).float()[query_of_token] if is_mean else torch.ones(len(tokens), device=device)
        shares[query_of_token, torch.arange(len(tokens), device=device)] = 1.0 / counts
        self._losses = shares @ (tokens - stored).norm(dim=1)
        self._norms = shares @ stored.norm(dim=1)
        self._weights = shares if scales is None else shares * scales
        # Half a unit in the last place for each sum of the product and for the conversions around it.
        self._rounding = number_format.rounding + (tokens.shape[1] + 8) * torch.finfo(torch.float32).eps / 2

    def scores(self, bags: StoredBags) -> Tensor:
        """MeanMaxSim, or MaxSim, of the stored vectors, float32 [Nq, n].

        Minus infinity for a bag without tokens; 0 for a query without tokens, with such a bag too.
        """
        device = self._weights.device
        nothing = torch.zeros(len(self._weights), len(bags), device=device)
        if not len(self._values) or not len(bags):
            return nothing
        lengths = bags.offsets.diff()
        longest, shortest = int(lengths.max()), int(lengths.min())
        is_missing = self._has_tokens[:, None] & (lengths == 0)
        if not longest:
            return nothing.masked_fill_(is_missing, float("-inf"))
        if device.type == "cpu":
            bytes_of_token = bags.values.shape[1] * bags.values.element_size()
            tokens = min(_BLOCK_SIMILARITIES // len(self._values), _BLOCK_BYTES // bytes_of_token)
        else:
            tokens = _BLOCK_SIMILARITIES_ON_ACCELERATOR // len(self._values)
        block = max(1, tokens // longest)
        firsts = range(0, len(bags), block)
        offsets = bags.offsets[[*firsts, len(bags)]].tolist()
        columns = []
        for number, first in enumerate(firsts):
            begin, end = offsets[number], offsets[number + 1]
            bag_offsets = None if longest == shortest else bags.offsets[first : first + block + 1] - begin
            values = bags.values[begin:end]
            if device.type == "cpu":
                _bring_into_cache(values)
            columns.append(self._weights @ self._maxima(values, longest, bag_offsets).float().T)
        scores = torch.cat(columns, dim=1)
        if bags.scales is not None:
            scores *= bags.scales
        return scores if shortest else scores.masked_fill_(is_missing, float("-inf"))

    def errors(self, bags: StoredBags) -> tuple[Tensor, Tensor]:
        """How far `scores` may be from the exact ones; `scoring.py` says why.

        Returns:
            The largest possible distance and one that is hardly ever reached, float32 [Nq, n].
        """
        lost = torch.outer(self._losses, bags.norms) + torch.outer(self._norms, bags.losses)
        rounded = self._rounding * torch.outer(self._norms + self._losses, bags.norms + bags.losses)
        return lost + rounded, lost * min(1.0, _DEVIATIONS / self._values.shape[1] ** 0.5) + rounded

    def _maxima(self, tokens: Tensor, length: int, offsets: Tensor | None) -> Tensor:
        """Largest product of the values of each bag and each query token, [bags, m].

        Args:
            tokens: values of the bags end to end.
            length: tokens of each bag, where all have equally many.
            offsets: where each bag starts and the last one ends; None where all have equally many.
        """
        if offsets is None:
            return self._format.products(tokens, self._values).view(-1, length, len(self._values)).amax(1)
        if not len(tokens):
            return torch.zeros(len(offsets) - 1, len(self._values), device=offsets.device)
        lengths = offsets.diff()
        places = torch.arange(max(1, int(lengths.max())), device=offsets.device)
        # A bag is filled up with its own last token, which changes no maximum.
        rows = offsets[:-1, None] + torch.minimum(places, (lengths - 1).clamp(min=0)[:, None])
        products = self._format.products(tokens, self._values)
        return products[rows.clamp(max=len(tokens) - 1)].amax(1)


def _bring_into_cache(values: Tensor) -> None:
    """Reads values from front to back, which a processor does at the full speed of memory; a product does not.

    A product takes rows in tiles, and waits for each: of 133 MB in int8 it took 28 ms alone, and 20 ms after this.
    """
    whole = len(values) and all(
        number * values.element_size() % 8 == 0 for number in (values.stride(0), values.storage_offset())
    )
    if whole:
        values.view(torch.int64).amax()


def _largest(values: Tensor, offsets: Tensor) -> Tensor:
    """The largest value of each bag; 0 for one without tokens."""
    lengths = offsets.diff()
    bag_of_token = torch.arange(len(lengths), device=values.device).repeat_interleave(lengths)
    largest = torch.zeros(len(lengths), device=values.device)
    return largest.scatter_reduce_(0, bag_of_token, values, "amax")
