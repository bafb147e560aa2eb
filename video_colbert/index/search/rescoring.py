"""From fast scores to the exact best: rows that may be among them are scored again in float32."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.scoring import BoundedScores, LevelScores, score_bags
from video_colbert.index.search.token_bags import TokenBags

FetchBags = Callable[[Tensor], tuple[TokenBags, TokenBags | None]]

# If more rows than this could be among the best, the probable error decides which are scored again.
_MOST_PROVEN = 200
# Rows of a query that are scored again in the first round; a later round takes four times as many.
_FIRST_ROUND = 64
_GROWTH = 4
# Above the rounding of a score in float32.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class TopRows:
    """The best rows of each query, best first; of equal scores, the lower row first.

    Attributes:
        rows: int64 [Nq, k], positions in the source.
        scores: float32 [Nq, k], weighted sum of the levels that the model scores by.
        frame_scores: float32 [Nq, k], MeanMaxSim over the frame tokens.
        video_scores: float32 [Nq, k], MeanMaxSim over the video tokens; None for a model without the video level.
        is_proven: bool [Nq], whether no other allowed row can be among the best. It is not known where rows were
            left out as no candidates, or where so many are close that the probable error had to do.
        frames: for each query k bags, the frame tokens of its rows, which were read to score them.
    """

    rows: Tensor
    scores: Tensor
    frame_scores: Tensor
    video_scores: Tensor | None
    is_proven: Tensor
    frames: list[TokenBags]


def empty_top_rows(queries: EncodedQueries) -> TopRows:
    """No rows for any of the queries."""
    none = torch.zeros(len(queries.texts), 0)
    proven = torch.ones(len(queries.texts), dtype=torch.bool)
    no_bags = TokenBags(torch.zeros(0, queries.query_embeds.shape[2]).half(), torch.zeros(1, dtype=torch.int64))
    video_scores = none if "video" in queries.score_levels else None
    return TopRows(none.long(), none, none, video_scores, proven, [no_bags] * len(queries.texts))


def single_query(queries: EncodedQueries, query: int) -> EncodedQueries:
    """One of several queries, on the CPU."""
    return dataclasses.replace(
        queries,
        texts=[queries.texts[query]],
        query_embeds=queries.query_embeds[query : query + 1].cpu(),
        query_mask=queries.query_mask[query : query + 1].cpu(),
        words=[queries.words[query]],
        truncated=[0] if query in queries.truncated else [],
    )


def best_rows(
    queries: EncodedQueries,
    rows: Sequence[Tensor],
    fast: Sequence[BoundedScores] | None,
    count: int,
    fetch: FetchBags,
    level_weights: Mapping[str, float] | None = None,
) -> TopRows:
    """The exact best of given rows.

    With fast scores, rows are scored again from the highest upper bound down, until no upper bound left reaches
    the exact score of the last of the best. Where the largest possible errors would leave some hundreds of rows,
    the probable ones are used. Without fast scores all rows are scored.

    Args:
        queries: Nq encoded queries.
        rows: for each query the int64 positions to choose among, increasing, at least `count`.
        fast: for each query fast scores [1, n] of its n rows and their errors, or None.
        count: rows to find for each query, at least 1.
        fetch: gives the float16 bags of positions.
        level_weights: weight of each level; 1 where none is given.
    """
    searches = [
        _Search(single_query(queries, query), of_query, None if fast is None else fast[query], count, level_weights)
        for query, of_query in enumerate(rows)
    ]
    size = max(_FIRST_ROUND, 2 * count)
    while asking := [(search, due) for search in searches if len(due := search.due(size))]:
        # Rows of several queries are fetched once.
        fetched = torch.unique(torch.cat([due for _, due in asking]))
        frames, videos = fetch(fetched)
        for search, due in asking:
            places = torch.searchsorted(fetched, due)
            search.take(due, frames.select(places), None if videos is None else videos.select(places))
        size *= _GROWTH
    found = [search.best() for search in searches]
    video_scores = [scores.video_scores for _, scores, _ in found if scores.video_scores is not None]
    return TopRows(
        rows=torch.stack([of_query for of_query, _, _ in found]),
        scores=torch.cat([scores.scores for _, scores, _ in found]),
        frame_scores=torch.cat([scores.frame_scores for _, scores, _ in found]),
        video_scores=torch.cat(video_scores) if video_scores else None,
        is_proven=torch.tensor([search.is_proven for search in searches]),
        frames=[frames for _, _, frames in found],
    )


class _Search:
    """The state of one query: which rows were scored exactly, and which may still have to be."""

    def __init__(
        self,
        query: EncodedQueries,
        rows: Tensor,
        fast: BoundedScores | None,
        count: int,
        level_weights: Mapping[str, float] | None,
    ) -> None:
        self.query = query
        self._count = count
        self._level_weights = level_weights
        self._has_bounds = fast is not None
        self.is_proven = True
        self._threshold = torch.tensor(float("-inf"))
        self._pending, self._upper = rows, torch.full((len(rows),), float("inf"))
        if fast is not None:
            scores = fast.scores[0]
            for number, errors in enumerate((fast.errors[0], fast.probable_errors[0])):
                self._threshold = (scores - errors).topk(count).values[-1]
                upper = scores + errors
                kept = (upper >= self._threshold).nonzero()[:, 0]
                self.is_proven = number == 0
                if len(kept) <= _MOST_PROVEN + count:
                    break
            self._upper, order = upper[kept].sort(descending=True)
            self._pending = rows[kept[order]]
        self._scored: list[_Scored] = []

    def due(self, size: int) -> Tensor:
        """The next rows to score, increasing and at most `size`; none when the best are known."""
        kept = int((self._upper >= self._threshold).sum())
        return self._pending[: min(kept, size) if self._has_bounds else len(self._pending)].sort().values

    def take(self, rows: Tensor, frames: TokenBags, videos: TokenBags | None) -> None:
        """Scores the rows that were due, whose bags these are."""
        self._pending, self._upper = self._pending[len(rows) :], self._upper[len(rows) :]
        scores = score_bags(self.query, frames, videos, level_weights=self._level_weights).scores[0]
        self._scored.append(_Scored(rows, scores, frames, videos))
        exact = torch.cat([of_round.scores for of_round in self._scored])
        if len(exact) >= self._count:
            self._threshold = torch.maximum(self._threshold, exact.topk(self._count).values[-1])

    def best(self) -> tuple[Tensor, LevelScores, TokenBags]:
        """The best rows [count], their scores [1, count] and their frame tokens.

        Sums in float32 depend on where in a product they stand. The best are ordered by sums in float64, rounded,
        which are equal for equal videos.
        """
        last = torch.cat([of_round.scores for of_round in self._scored]).topk(self._count).values[-1]
        near = [of_round.above(last - _ROUNDING * max(1.0, abs(float(last)))) for of_round in self._scored]
        rows = torch.cat([of_round.rows for of_round in near])
        frames = TokenBags.concatenate([of_round.frames for of_round in near])
        videos = [of_round.videos for of_round in near if of_round.videos is not None]
        scores = score_bags(
            self.query,
            frames,
            TokenBags.concatenate(videos) if videos else None,
            level_weights=self._level_weights,
            dtype=torch.float64,
        )
        by_row = rows.argsort()
        best = by_row[scores.scores[0, by_row].argsort(descending=True, stable=True)[: self._count]]
        video_scores = None if scores.video_scores is None else scores.video_scores[:, best]
        found = LevelScores(scores.scores[:, best], scores.frame_scores[:, best], video_scores)
        return rows[best], found, frames.select(best)


@dataclass(frozen=True)
class _Scored:
    """Rows of one round, their scores in float32 and their bags."""

    rows: Tensor
    scores: Tensor
    frames: TokenBags
    videos: TokenBags | None

    def above(self, limit: float | Tensor) -> _Scored:
        """Those that score at least `limit`."""
        places = (self.scores >= limit).nonzero()[:, 0]
        videos = None if self.videos is None else self.videos.select(places)
        return _Scored(self.rows[places], self.scores[places], self.frames.select(places), videos)
