"""Tokens of a source as a search holds them: bags, the fast format, pooled vectors, reduced tokens; each read once."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.candidates import PooledVectors, ReducedTokens, pool_queries, principal_directions
from video_colbert.index.search.level_bags import LevelBags, TokenSource
from video_colbert.index.search.number_formats import fastest_format
from video_colbert.index.search.quantized_bags import PreparedQueries, StoredBags
from video_colbert.index.search.scoring import BoundedScorer, BoundedScores, counted_levels
from video_colbert.progress import progress_bar

# Videos whose tokens say which directions are kept.
_DIRECTION_VIDEOS = 2048
# Videos whose tokens are fetched at once where all are read.
_FETCHED_AT_ONCE = 8192


class PreparedTokens:
    """The tokens of a source in the forms that a search compares; any of them is made when it is first wanted.

    Args:
        source: where tokens come from; it must not change meanwhile.
        device: where tokens are compared.
        holds_bags: keep the float16 bags of all videos in memory once they were read.
    """

    def __init__(self, source: TokenSource, device: torch.device, *, holds_bags: bool) -> None:
        self.source = source
        self.device = device
        self._holds_bags = holds_bags
        self._bags: LevelBags | None = None
        self._scorer: BoundedScorer | None = None
        self._pooled: PooledVectors | None = None
        self._reduced: ReducedTokens | None = None
        # One thread reads; it may enter again, for one form is made from another.
        self._lock = threading.RLock()

    def fetch(self, rows: Tensor) -> LevelBags:
        """The float16 bags of some rows, int64 [n]."""
        return self.source.bags(rows) if self._bags is None else self._bags.select(rows)

    def scorer(self) -> BoundedScorer:
        """The tokens of all videos in the fast number format."""
        with self._lock:
            if self._scorer is None:
                parts = [BoundedScorer.of(bags, device=self.device) for bags in self.parts()]
                self._scorer = BoundedScorer.concatenate(parts)
            return self._scorer

    def fast_scores(
        self, queries: EncodedQueries, rows: Tensor, prepared: dict[str, PreparedQueries] | None = None
    ) -> BoundedScores | None:
        """Fast scores of some rows, if their tokens are at hand in a fast number format; None where they are not.

        Args:
            queries: Nq encoded queries.
            rows: int64 [n], in any order.
            prepared: as of `BoundedScorer.scores`.
        """
        if self._scorer is not None:
            return self._scorer.scores(queries, rows=rows, prepared=prepared)
        copies = self._copies(rows, counted_levels(queries))
        if copies is None:
            return None
        return BoundedScorer(copies, fastest_format(self.device), self.device).scores(queries, prepared=prepared)

    def are_fast(self) -> bool:
        """Whether tokens are at hand in a fast number format."""
        return self._scorer is not None or self._copies(torch.zeros(0, dtype=torch.int64), ()) is not None

    def _copies(self, rows: Tensor, levels: Collection[str]) -> Mapping[str, StoredBags] | None:
        # Copies may come from a machine with another processor, and this one may compare int8 slowly or wrongly.
        return self.source.quantized_bags(rows, levels) if fastest_format(self.device).name == "int8" else None

    def candidate_scores(self, method: str, queries: EncodedQueries, rows: Tensor | None = None) -> Tensor:
        """Scores by which candidates are chosen, float32 [Nq, n].

        Args:
            method: "pooled" or "reduced".
            queries: Nq encoded queries.
            rows: int64 [n] rows to score; None for all.
        """
        if method == "reduced":
            return self._reduced_tokens().scores(queries, rows=rows)
        return self._pooled_vectors().scores(pool_queries(queries, self.source.dimensions), rows=rows)

    def read_all(self, queries: EncodedQueries, *, hold: bool) -> BoundedScores:
        """Reads the tokens of all videos once, for all that a calibration compares.

        Args:
            queries: Nq encoded queries.
            hold: whether to hold the tokens in the fast number format, as `scorer` gives them.

        Returns:
            The queries' fast scores of all videos.
        """
        with self._lock:
            directions = self._directions()
            held, reduced, fast = [], [], []
            for bags in self.parts():
                scorer = BoundedScorer.of(bags, device=self.device)
                fast.append(scorer.scores(queries))
                reduced.append(ReducedTokens.of(directions, bags, self.device))
                if hold and self._scorer is None:
                    held.append(scorer)
            self._reduced = ReducedTokens.concatenate(reduced)
            if held:
                self._scorer = BoundedScorer.concatenate(held)
            return BoundedScores.concatenate(fast)

    def forget_reduced(self) -> None:
        """Gives up the reduced tokens, which are not wanted any more."""
        with self._lock:
            self._reduced = None

    def _reduced_tokens(self) -> ReducedTokens:
        with self._lock:
            if self._reduced is None:
                directions = self._directions()
                parts = [ReducedTokens.of(directions, bags, self.device) for bags in self.parts()]
                self._reduced = ReducedTokens.concatenate(parts)
            return self._reduced

    def _pooled_vectors(self) -> PooledVectors:
        with self._lock:
            if self._pooled is None:
                self._pooled = PooledVectors(self.source.pooled())
            return self._pooled

    def _directions(self) -> dict[str, Tensor]:
        order = torch.randperm(len(self.source), generator=torch.Generator().manual_seed(1))
        return principal_directions(self.source.bags(order[:_DIRECTION_VIDEOS]))

    def parts(self) -> Iterator[LevelBags]:
        """The bags of all videos in order, some at a time; they are held where they are to be."""
        if self._bags is None and self._holds_bags:
            self._bags = self.source.bags()
        firsts = range(0, len(self.source), _FETCHED_AT_ONCE)
        for first in progress_bar(firsts, desc="Preparing tokens", unit="part", leave=False):
            stop = min(first + _FETCHED_AT_ONCE, len(self.source))
            if self._bags is None:
                yield self.source.bags(torch.arange(first, stop))
            else:
                yield self._bags.part(first, stop)
