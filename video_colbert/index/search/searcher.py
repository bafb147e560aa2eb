"""Search over stored token bags: exact while that is fast, above that exact among calibrated candidates."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.calibration import CELLS_LIMIT, EXACT_LIMIT, Calibration
from video_colbert.index.search.candidate_calibration import (
    count_candidates,
    levels_of_one_width,
    make_queries,
    preferred_method,
    ranks_of,
)
from video_colbert.index.search.cells.cell_calibration import calibrated_cells, exact_best
from video_colbert.index.search.cells.cell_search import score_from_cells
from video_colbert.index.search.cells.video_cells import DamagedCellsError
from video_colbert.index.search.exact_scores import scores_of_all
from video_colbert.index.search.interaction import has_bound
from video_colbert.index.search.level_bags import TokenSource
from video_colbert.index.search.prepared_tokens import PreparedTokens
from video_colbert.index.search.rescoring import TopRows, best_rows, empty_top_rows, single_query
from video_colbert.index.search.score_parts import score_parts
from video_colbert.index.search.scoring import BoundedScores, check_queries, counted_levels

_LINEAR_METHODS = ("pooled", "reduced")
# Allowed videos for each candidate, up to which all of them are scored.
_ALLOWED_A_CANDIDATE = 4
# Where cells are calibrated with made queries, how many times more may be read, and how many times more videos scored,
# or so many. On made videos that are distributed as those of a trained model, captions needed four times the share and
# 3.5 times the candidates that made queries needed. What a search takes of it, the scores of its first ones say.
_MORE_READ, _MORE_CANDIDATES, _CANDIDATES = 5.0, 2, 4096
# Cells that may turn out to be damaged before a search does without.
_CELLS_TRIED = 3
_CALIBRATION_QUERIES = 64
_CALIBRATION_QUERY_TOKENS = 16
_CALIBRATION_TOP_K = 10
_TIMED_SEARCHES = 3
# Below this share of allowed videos their tokens are gathered; above it all are scored and the rest left out.
_GATHERED_SHARE = 0.25


class Searcher:
    """Finds the best videos of a source.

    Up to `exact_limit` videos every video is scored, in a fast number format with a proven error bound, and what
    may be among the best is scored again in float32: the result is exact, and proven to be for the queries that
    `TopRows.is_proven` names. Above it, only candidates are scored, as many as reach `recall_target` on the source
    itself: the best by pooled vectors or by tokens in few dimensions, and above `cells_limit`, where the source can
    have them, by score vectors in some of the cells. Interactions whose fast scores have no bound (`interaction.py`)
    are computed exactly for all videos, however many there are. A searcher reads what it needs at the first search and
    holds it, so it does not see later changes of its source. Searches may run in several threads; the first one
    prepares what all need.

    Args:
        source: where tokens come from; it must not change while the searcher is used.
        device: where tokens are compared; by default an accelerator, if there is one that CUDA knows.
        exact_limit: videos up to which all are scored.
        cells_limit: videos up to which all are looked at for candidates.
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
        cells_limit: int = CELLS_LIMIT,
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
        self._tokens = PreparedTokens(source, self.device, holds_bags=self.is_exact or hold_tokens)
        self._cells_limit = cells_limit
        self._calibration = calibration
        # For where the cells of a calibration cannot be had.
        self._without_cells: Calibration | None = None
        # One thread calibrates.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def calibration(self) -> Calibration | None:
        """What the number of candidates was chosen from; None before the first search that needed it."""
        return self._calibration

    def top(self, queries: EncodedQueries, top_k: int, *, rows: Tensor | None = None) -> TopRows:
        """The best videos for each query.

        Args:
            queries: Nq encoded queries.
            top_k: videos a query, at most.
            rows: int64 rows that a filter allows; None for all. The best are chosen among these.

        Returns:
            Rows and exact scores, best first; of equal scores, the lower row. There are fewer than `top_k`
            columns where fewer videos are allowed.

        Raises:
            ValueError: `top_k` is below 1 or a row is out of range.
            ModelMismatchError: the queries' levels are not those of the source.
            ModelMismatchError: they are scored by weights of tokens, which the source does not have.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        allowed = None if rows is None else self._checked(rows)
        count = min(top_k, len(self) if allowed is None else len(allowed))
        if not count or not queries.texts:
            return empty_top_rows(queries, self.source.dimensions)
        check_queries(queries, self.source.dimensions, "the index")
        if not has_bound(queries.interaction, queries.level_scoring):
            fast = scores_of_all(queries, self._tokens, allowed, len(self))
            return best_rows(queries, self._every(queries, allowed), fast, count, self._tokens.fetch)
        if self.is_exact:
            fast = self._scores_of_all(queries, allowed)
            return best_rows(queries, self._every(queries, allowed), fast, count, self._tokens.fetch)
        with self._lock:
            calibration = self._calibration or self.calibrate(
                encoder_of_level={level: queries.encoder_of_level[level] for level in counted_levels(queries)}
            )
        return self._top_of_candidates(queries, top_k, allowed, calibration)

    def calibrate(
        self,
        *,
        queries: EncodedQueries | None = None,
        encoder_of_level: Mapping[str, str] | None = None,
        top_k: int = _CALIBRATION_TOP_K,
    ) -> Calibration:
        """Measures how many candidates the recall target takes, and uses what it found from now on.

        Reads the tokens of all videos once, or twice where cells are found for them. Without cells, pooled vectors and
        reduced tokens are both tried and timed; `preferred_method` says which are kept.

        Args:
            queries: queries such as users ask, of which some dozens are enough; by default they are made from
                stored tokens, which is a guess of what users ask.
            encoder_of_level: of made queries, the levels that they are scored by and the encoder of each, as in
                `EncodedQueries`; by default all levels, those of one dimension with one encoder.
            top_k: best videos of each query that the candidates must hold.
        """
        with self._lock:
            asked = queries or self._made_queries(encoder_of_level or levels_of_one_width(self.source.dimensions))
            found = self._calibrated_cells(asked, top_k, real_queries=queries is not None)
            self._calibration = found or self._calibrated(asked, top_k, real_queries=queries is not None)
            return self._calibration

    def _calibrated_cells(self, asked: EncodedQueries, top_k: int, *, real_queries: bool) -> Calibration | None:
        """The calibration of candidates from new cells; None without cells."""
        if len(self) <= self._cells_limit or (cells := self.source.cells(anew=True)) is None:
            return None
        best = exact_best(asked, self._tokens.parts(), top_k)
        sample = self.source.bags(torch.arange(min(len(self), _CALIBRATION_QUERIES)))
        numbers = sum(of_level.tokens.numel() for of_level in sample.values()) / sample.num_videos
        try:
            share, num_candidates, recall = calibrated_cells(
                cells, asked, best, self.recall_target, len(self), numbers
            )
        except DamagedCellsError:
            self.source.replace_cells(cells)
            return None
        if not real_queries:
            # Vectors were fitted to queries that are made in the same way, and say their scores best.
            share = min(1.0, _MORE_READ * share)
            num_candidates = min(len(self), max(_MORE_CANDIDATES * num_candidates, _CANDIDATES))
        return Calibration(
            method="cells",
            recall_target=self.recall_target,
            recall=recall,
            top_k=top_k,
            num_candidates=max(top_k, num_candidates),
            num_queries=len(asked.texts),
            real_queries=real_queries,
            num_videos=len(self),
            read_share=share,
        )

    def _calibrated(self, asked: EncodedQueries, top_k: int, *, real_queries: bool) -> Calibration:
        """The calibration of the better of the methods that look at all videos."""
        with self._lock:
            fast = self._tokens.read_all(asked, hold=self.hold_tokens)
            count = min(top_k, len(self))
            exact = best_rows(asked, self._every(asked, None), fast.split(), count, self._tokens.fetch)
            found = {}
            for method in _LINEAR_METHODS:
                ranks = ranks_of(exact.rows, self._tokens.candidate_scores(method, asked))
                num_candidates, recall = count_candidates(ranks, self.recall_target)
                found[method] = Calibration(
                    method=method,
                    recall_target=self.recall_target,
                    recall=recall,
                    top_k=top_k,
                    num_candidates=max(top_k, num_candidates),
                    num_queries=len(asked.texts),
                    real_queries=real_queries,
                    num_videos=len(self),
                )
            seconds = {method: self._seconds(asked, top_k, found[method]) for method in _LINEAR_METHODS}
            method = preferred_method(seconds)
            if method != "reduced":
                self._tokens.forget_reduced()
            return found[method]

    def _made_queries(self, encoder_of_level: Mapping[str, str]) -> EncodedQueries:
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))
        sample = self.source.bags(order[:_CALIBRATION_QUERIES])
        return make_queries(sample, encoder_of_level, length=_CALIBRATION_QUERY_TOKENS)

    def _seconds(self, queries: EncodedQueries, top_k: int, calibration: Calibration) -> float:
        """The fastest of a few searches."""
        seconds = []
        for query in range(min(_TIMED_SEARCHES, len(queries.texts))):
            start = time.perf_counter()
            self._top_of_candidates(single_query(queries, query), top_k, None, calibration)
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    def _top_of_candidates(
        self, queries: EncodedQueries, top_k: int, allowed: Tensor | None, calibration: Calibration
    ) -> TopRows:
        available = len(self) if allowed is None else len(allowed)
        count = min(top_k, available)
        num_candidates = calibration.candidates_for(top_k, len(self))
        has_all = available <= num_candidates
        if self.hold_tokens:
            self._tokens.scorer()
        asked = [single_query(queries, query) for query in range(len(queries.texts))]
        scored = None
        if calibration.method == "cells" and not has_all:
            has_all = allowed is not None and available <= _ALLOWED_A_CANDIDATE * num_candidates
            if (
                not has_all
                and (scored := self._from_cells(asked, num_candidates, count, allowed, calibration)) is None
            ):
                return self._top_of_candidates(queries, top_k, allowed, self._linear(queries))
        fast: list[BoundedScores | None]
        if scored is not None:
            candidates, fast = [rows for rows, _ in scored], [scores for _, scores in scored]
        elif has_all:
            candidates = self._every(queries, allowed)
            # All queries at once: tokens that are not held are read once.
            of_all = self._tokens.fast_scores(queries, candidates[0])
            fast = [None] * len(asked) if of_all is None else [*of_all.split()]
        else:
            scores = self._tokens.candidate_scores(calibration.method, queries, allowed)
            columns = scores.topk(num_candidates, dim=1, sorted=False).indices.sort(dim=1).values
            candidates = list(columns if allowed is None else allowed[columns])
            fast = [self._tokens.fast_scores(query, rows) for query, rows in zip(asked, candidates, strict=True)]
        found = best_rows(queries, candidates, fast, count, self._tokens.fetch)
        return found if has_all else dataclasses.replace(found, is_proven=torch.zeros_like(found.is_proven))

    def _from_cells(
        self,
        asked: list[EncodedQueries],
        num_candidates: int,
        count: int,
        allowed: Tensor | None,
        calibration: Calibration,
    ) -> list[tuple[Tensor, BoundedScores]] | None:
        """Rows for each query, increasing, and their scores; None where cells cannot be had."""
        is_allowed = None
        if allowed is not None:
            is_allowed = torch.zeros(len(self), dtype=torch.bool)
            is_allowed[allowed] = True
        for _ in range(_CELLS_TRIED):
            cells = self.source.cells()
            if cells is None:
                break
            try:
                return [
                    score_from_cells(
                        cells,
                        cells.axes.of_queries(query)[0],
                        calibration.read_share,
                        num_candidates,
                        is_allowed,
                        score_parts(query, self._tokens, len(self)),
                        count,
                    )
                    for query in asked
                ]
            except DamagedCellsError:
                self.source.replace_cells(cells)
        return None

    def _linear(self, queries: EncodedQueries) -> Calibration:
        """The calibration to go by where there are no cells, measured once."""
        with self._lock:
            if self._without_cells is None:
                encoders = {level: queries.encoder_of_level[level] for level in counted_levels(queries)}
                made = self._made_queries(encoders)
                self._without_cells = self._calibrated(made, _CALIBRATION_TOP_K, real_queries=False)
            return self._without_cells

    def _every(self, queries: EncodedQueries, allowed: Tensor | None) -> list[Tensor]:
        """All allowed rows, for each query."""
        return [torch.arange(len(self)) if allowed is None else allowed] * len(queries.texts)

    def _checked(self, rows: Tensor) -> Tensor:
        allowed: Tensor = torch.unique(rows.to("cpu", torch.int64))
        if len(allowed) and not 0 <= int(allowed[0]) <= int(allowed[-1]) < len(self):
            raise ValueError(f"rows must lie between 0 and {len(self) - 1}, got {int(allowed[0])}..{int(allowed[-1])}")
        return allowed

    def _scores_of_all(self, queries: EncodedQueries, allowed: Tensor | None) -> list[BoundedScores]:
        """Fast scores of all allowed rows, [1, n] for each query."""
        scorer = self._tokens.scorer()
        if allowed is not None and len(allowed) < _GATHERED_SHARE * len(self):
            fast = scorer.scores(queries, rows=allowed)
        else:
            fast = scorer.scores(queries)
            if allowed is not None:
                fast = fast.select(allowed)
        return fast.split()
