"""Search over stored token bags: exact while that is fast, above that exact among calibrated candidates."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from tqdm import tqdm

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.hits import Moment, MomentRange, SearchHit, find_moments, find_ranges
from video_colbert.index.search.candidate_calibration import (
    METHODS,
    Calibration,
    count_candidates,
    make_queries,
    places_of,
)
from video_colbert.index.search.candidates import pool_queries, pooled_scores
from video_colbert.index.search.reduced_tokens import ReducedTokens, principal_directions
from video_colbert.index.search.rescoring import TopRows, best_rows, empty_top_rows, single_query
from video_colbert.index.search.scoring import BoundedScores, TwoLevelScorer, weights_of_levels
from video_colbert.index.search.token_bags import TokenBags
from video_colbert.index.search.token_source import TokensInMemory, TokenSource

__all__ = [
    "Moment",
    "MomentRange",
    "SearchHit",
    "Searcher",
    "TokenSource",
    "TokensInMemory",
    "TopRows",
    "find_moments",
    "find_ranges",
]

# Two cores scan this many videos of 26 tokens and 512 dimensions in about 50 ms.
EXACT_LIMIT = 20_000
_CALIBRATION_QUERIES = 64
_CALIBRATION_QUERY_TOKENS = 16
_CALIBRATION_TOP_K = 10
_TIMED_SEARCHES = 3
_WORTH_POOLING = 1.5
# Videos whose tokens say which directions are kept.
_DIRECTION_VIDEOS = 2048
# Below this share of allowed videos their tokens are gathered; above it all are scored and the rest left out.
_GATHERED_SHARE = 0.25
# Videos whose tokens are fetched at once where all are read.
_FETCHED_AT_ONCE = 8192


class Searcher:
    """Finds the best videos of a source.

    Up to `exact_limit` videos every video is scored, in a fast number format with a proven error bound, and what
    may be among the best is scored again in float32: the result is exact, and proven to be for the queries that
    `TopRows.is_proven` names. Above it, only candidates are scored:
    the best by pooled vectors or by tokens in few dimensions, as many as reach `recall_target` on the source
    itself. A searcher reads what it needs at the first search and holds it, so it does not see later changes of
    its source. Searches may run in several threads; the first one prepares what all need.

    Args:
        source: where tokens come from; it must not change while the searcher is used.
        device: where tokens are compared; by default an accelerator, if there is one that CUDA knows.
        exact_limit: videos up to which all are scored.
        recall_target: share of the exact best videos that candidates must hold, above 0 and at most 1.
        calibration: an earlier calibration for the same source; None to calibrate at the first search that
            needs candidates.
        hold_tokens: hold the tokens of all videos in memory above `exact_limit` too, as float16 and in the fast
            number format (three bytes a number where that is int8). Then a search reads nothing from the source,
            which is faster for a process that answers many queries; the first search reads all tokens.

    Raises:
        ValueError: `recall_target` is out of range.
    """

    def __init__(
        self,
        source: TokenSource,
        *,
        device: torch.device | str | None = None,
        exact_limit: int = EXACT_LIMIT,
        recall_target: float = 0.99,
        calibration: Calibration | None = None,
        hold_tokens: bool = False,
    ) -> None:
        if not 0.0 < recall_target <= 1.0:
            raise ValueError(f"recall_target must be above 0 and at most 1, got {recall_target}")
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.source = source
        self.device = torch.device(device)
        self.recall_target = recall_target
        self.is_exact = len(source) <= exact_limit
        self.hold_tokens = hold_tokens
        self._calibration = calibration
        self._scorer: TwoLevelScorer | None = None
        self._bags: tuple[TokenBags, TokenBags | None] | None = None
        self._pooled: Tensor | None = None
        self._reduced: ReducedTokens | None = None
        # One thread reads and calibrates; it may enter again, for a calibration searches.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def calibration(self) -> Calibration | None:
        """What the number of candidates was chosen from; None before the first search that needed it."""
        return self._calibration

    def top(
        self,
        queries: EncodedQueries,
        top_k: int,
        *,
        rows: Tensor | None = None,
        level_weights: Mapping[str, float] | None = None,
    ) -> TopRows:
        """The best videos for each query.

        Args:
            queries: Nq encoded queries.
            top_k: videos a query, at most.
            rows: int64 positions that a filter allows; None for all. The best are chosen among these.
            level_weights: weight of each level in the score; 1 where none is given.

        Returns:
            Rows and exact scores, best first; of equal scores, the lower position. There are fewer than `top_k`
            columns where fewer videos are allowed.

        Raises:
            ValueError: `top_k` is below 1, a row is out of range or `level_weights` does not fit the model.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        weights_of_levels(queries, level_weights)
        allowed = None if rows is None else self._checked(rows)
        available = len(self) if allowed is None else len(allowed)
        count = min(top_k, available)
        if not count or not queries.texts:
            return empty_top_rows(queries)
        if self.is_exact:
            candidates = [torch.arange(len(self)) if allowed is None else allowed] * len(queries.texts)
            fast = self._scores_of_all(queries, allowed, level_weights)
            return best_rows(queries, candidates, fast, count, self._fetch, level_weights)
        with self._lock:
            calibration = self._calibration or self.calibrate(queries.score_levels)
        num_candidates = calibration.candidates_for(top_k, len(self))
        if available <= num_candidates:
            candidates = [torch.arange(len(self)) if allowed is None else allowed] * len(queries.texts)
        else:
            scores = self._candidate_scores(calibration.method, queries, allowed, level_weights)
            places = scores.topk(num_candidates, dim=1, sorted=False).indices.sort(dim=1).values
            candidates = list(places if allowed is None else allowed[places])
        fast_of_candidates: list[BoundedScores] | None = None
        if self.hold_tokens:
            scorer = self._held_tokens()
            fast_of_candidates = [
                scorer.scores(single_query(queries, query), rows=rows_of_query, level_weights=level_weights)
                for query, rows_of_query in enumerate(candidates)
            ]
        found = best_rows(queries, candidates, fast_of_candidates, count, self._fetch, level_weights)
        return (
            found
            if available <= num_candidates
            else dataclasses.replace(found, is_proven=torch.zeros_like(found.is_proven))
        )

    def calibrate(
        self,
        score_levels: tuple[str, ...] = ("frame", "video"),
        *,
        queries: EncodedQueries | None = None,
        top_k: int = _CALIBRATION_TOP_K,
    ) -> Calibration:
        """Measures how many candidates the recall target takes, and uses what it found from now on.

        Reads the tokens of all videos once. Pooled vectors and reduced tokens are both tried and timed. Pooled
        vectors are kept if a search is at least 1.5 times faster with them: how many candidates they need depends
        more on how users' queries differ from those measured here.

        Args:
            score_levels: levels that the model scores by; not used where `queries` are given.
            queries: queries such as users ask, of which some dozens are enough; by default they are made from
                stored tokens, which is a guess of what users ask.
            top_k: best videos of each query that the candidates must hold.
        """
        with self._lock:
            return self._calibrate(score_levels, queries, top_k)

    def _calibrate(self, score_levels: tuple[str, ...], queries: EncodedQueries | None, top_k: int) -> Calibration:
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))
        asked = queries
        if asked is None:
            sample = self.source.bags(order[:_CALIBRATION_QUERIES])
            asked = make_queries(*sample, score_levels, length=_CALIBRATION_QUERY_TOKENS)
        fast = self._read_all(asked)
        rows = torch.arange(len(self))
        exact = best_rows(asked, [rows] * len(asked.texts), fast.split(), min(top_k, len(self)), self._fetch)
        found: dict[str, tuple[float, Calibration]] = {}
        for method in METHODS:
            places = places_of(exact.rows, self._candidate_scores(method, asked, None, None))
            num_candidates, recall = count_candidates(places, self.recall_target)
            self._calibration = Calibration(
                method=method,
                recall_target=self.recall_target,
                recall=recall,
                top_k=top_k,
                num_candidates=max(top_k, num_candidates),
                num_queries=len(asked.texts),
                real_queries=queries is not None,
                num_videos=len(self),
            )
            found[method] = (self._seconds(asked, top_k), self._calibration)
        pooled_seconds, reduced_seconds = found["pooled"][0], found["reduced"][0]
        self._calibration = found["pooled" if _WORTH_POOLING * pooled_seconds <= reduced_seconds else "reduced"][1]
        if self._calibration.method != "reduced":
            self._reduced = None
        return self._calibration

    def _seconds(self, queries: EncodedQueries, top_k: int) -> float:
        """The fastest of a few searches."""
        seconds = []
        for query in range(min(_TIMED_SEARCHES, len(queries.texts))):
            start = time.perf_counter()
            self.top(single_query(queries, query), top_k)
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    def _read_all(self, queries: EncodedQueries) -> BoundedScores:
        """Fast scores of all videos; reduces all tokens on the way, and holds them where that is asked for."""
        directions = self._directions()
        held, reduced, fast = [], [], []
        for frames, videos in self._parts():
            scorer = TwoLevelScorer(frames, videos, device=self.device)
            fast.append(scorer.scores(queries))
            reduced.append(ReducedTokens.of(directions, frames, videos, self.device))
            if self.hold_tokens and self._scorer is None:
                held.append(scorer)
        self._reduced = ReducedTokens.concatenate(reduced)
        if held:
            self._scorer = TwoLevelScorer.concatenate(held)
        return BoundedScores.concatenate(fast)

    def _checked(self, rows: Tensor) -> Tensor:
        allowed: Tensor = torch.unique(rows.to("cpu", torch.int64))
        if len(allowed) and not 0 <= int(allowed[0]) <= int(allowed[-1]) < len(self):
            raise ValueError(f"rows must lie between 0 and {len(self) - 1}, got {int(allowed[0])}..{int(allowed[-1])}")
        return allowed

    def _scores_of_all(
        self, queries: EncodedQueries, allowed: Tensor | None, level_weights: Mapping[str, float] | None
    ) -> list[BoundedScores]:
        """Fast scores of all allowed rows, [1, n] for each query."""
        scorer = self._held_tokens()
        if allowed is not None and len(allowed) < _GATHERED_SHARE * len(self):
            fast = scorer.scores(queries, rows=allowed, level_weights=level_weights)
        else:
            fast = scorer.scores(queries, level_weights=level_weights)
            if allowed is not None:
                fast = fast.select(allowed)
        return fast.split()

    def _candidate_scores(
        self, method: str, queries: EncodedQueries, rows: Tensor | None, level_weights: Mapping[str, float] | None
    ) -> Tensor:
        """Scores by which candidates are chosen, [Nq, n]."""
        if method == "reduced":
            return self._reduced_tokens().scores(queries, rows=rows, level_weights=level_weights)
        pooled = self._pooled_vectors()
        levels = int(pooled.shape[1]) // queries.query_embeds.shape[2]
        pooled_queries = pool_queries(queries, levels=levels, level_weights=level_weights)
        return pooled_scores(pooled_queries, pooled if rows is None else pooled[rows])

    def _reduced_tokens(self) -> ReducedTokens:
        with self._lock:
            if self._reduced is None:
                directions = self._directions()
                parts = [ReducedTokens.of(directions, *bags, self.device) for bags in self._parts()]
                self._reduced = ReducedTokens.concatenate(parts)
            return self._reduced

    def _pooled_vectors(self) -> Tensor:
        with self._lock:
            if self._pooled is None:
                self._pooled = self.source.pooled()
            return self._pooled

    def _held_tokens(self) -> TwoLevelScorer:
        """The tokens of all videos in the fast format."""
        with self._lock:
            if self._scorer is None:
                parts = [TwoLevelScorer(*bags, device=self.device) for bags in self._parts()]
                self._scorer = TwoLevelScorer.concatenate(parts)
            return self._scorer

    def _directions(self) -> Tensor:
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(1))
        return principal_directions(*self.source.bags(order[:_DIRECTION_VIDEOS]))

    def _parts(self) -> Iterator[tuple[TokenBags, TokenBags | None]]:
        """The bags of all videos in order, some at a time; they are held where they are to be."""
        if self._bags is None and (self.is_exact or self.hold_tokens):
            self._bags = self.source.bags()
        firsts = range(0, len(self), _FETCHED_AT_ONCE)
        for first in tqdm(firsts, desc="Preparing tokens", unit="part", disable=None, leave=False):
            stop = min(first + _FETCHED_AT_ONCE, len(self))
            if self._bags is None:
                yield self.source.bags(torch.arange(first, stop))
            else:
                frames, videos = self._bags
                yield frames.part(first, stop), None if videos is None else videos.part(first, stop)

    def _fetch(self, rows: Tensor) -> tuple[TokenBags, TokenBags | None]:
        if self._bags is None:
            return self.source.bags(rows)
        frames, videos = self._bags
        return frames.select(rows), None if videos is None else videos.select(rows)
