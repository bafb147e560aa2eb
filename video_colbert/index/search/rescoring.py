"""From fast scores to the exact best: rows that may be among them are scored again in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.scoring import BoundedScores, LevelScores, score_bags

FetchBags = Callable[[Tensor], LevelBags]

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
        rows: int64 [Nq, k], rows of the source.
        scores: float32 [Nq, k], weighted sum of the levels.
        level_scores: by level, float32 [Nq, k], MeanMaxSim over its tokens.
        is_proven: bool [Nq], whether no other allowed row can be among the best. It is not known where rows were
            left out as no candidates, or where so many are close that the probable error had to do.
        bags: for each query the bags of its k rows, which were read to score them.
    """

    rows: Tensor
    scores: Tensor
    level_scores: Mapping[str, Tensor]
    is_proven: Tensor
    bags: list[LevelBags]


def empty_top_rows(queries: EncodedQueries, dimensions: Mapping[str, int]) -> TopRows:
    """No rows for any of the queries, of a source with levels of these dimensions."""
    none = torch.zeros(len(queries.texts), 0)
    levels = {level: none for level in dimensions if level in queries.encoder_of_level}
    proven = torch.ones(len(queries.texts), dtype=torch.bool)
    return TopRows(none.long(), none, levels, proven, [LevelBags.empty(dimensions)] * len(queries.texts))


def single_query(queries: EncodedQueries, query: int) -> EncodedQueries:
    """One of several queries, on the CPU."""
    return queries.select([query]).to("cpu")


def best_rows(
    queries: EncodedQueries,
    rows: Sequence[Tensor],
    fast: Sequence[BoundedScores | None],
    count: int,
    fetch: FetchBags,
) -> TopRows:
    """The exact best of given rows.

    With fast scores, rows are scored again from the highest upper bound down, until no upper bound left reaches
    the exact score of the last of the best. Where the largest possible errors would leave some hundreds of rows,
    the probable ones are used. Without fast scores all rows are scored.

    Args:
        queries: Nq encoded queries.
        rows: for each query the int64 rows to choose among, increasing, at least `count`.
        fast: for each query fast scores [1, n] of its n rows and their errors, or None without.
        count: rows to find for each query, at least 1.
        fetch: gives the float16 bags of rows.
    """
    searches = [
        _Search(single_query(queries, query), of_query, of_fast, count)
        for query, (of_query, of_fast) in enumerate(zip(rows, fast, strict=True))
    ]
    size = max(_FIRST_ROUND, 2 * count)
    while asking := [(search, due) for search in searches if len(due := search.due(size))]:
        # Rows of several queries are fetched once.
        fetched = torch.unique(torch.cat([due for _, due in asking]))
        bags = fetch(fetched)
        for search, due in asking:
            search.take(due, bags.select(torch.searchsorted(fetched, due)))
        size *= _GROWTH
    found = [search.best() for search in searches]
    return TopRows(
        rows=torch.stack([of_query for of_query, _, _ in found]),
        scores=torch.cat([scores.scores for _, scores, _ in found]),
        level_scores={
            level: torch.cat([scores.levels[level] for _, scores, _ in found]) for level in found[0][1].levels
        },
        is_proven=torch.tensor([search.is_proven for search in searches]),
        bags=[bags for _, _, bags in found],
    )


class _Search:
    """The state of one query: which rows were scored exactly, and which may still have to be."""

    def __init__(self, query: EncodedQueries, rows: Tensor, fast: BoundedScores | None, count: int) -> None:
        self.query = query
        self._count = count
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

    def take(self, rows: Tensor, bags: LevelBags) -> None:
        """Scores the rows that were due, whose bags these are."""
        self._pending, self._upper = self._pending[len(rows) :], self._upper[len(rows) :]
        scores = score_bags(self.query, bags).scores[0]
        self._scored.append(_Scored(rows, scores, bags))
        exact = torch.cat([of_round.scores for of_round in self._scored])
        if len(exact) >= self._count:
            self._threshold = torch.maximum(self._threshold, exact.topk(self._count).values[-1])

    def best(self) -> tuple[Tensor, LevelScores, LevelBags]:
        """The best rows [count], their scores [1, count] and their bags.

        Sums in float32 depend on where in a product they stand. The best are ordered by sums in float64, rounded,
        which are equal for equal videos.
        """
        last = torch.cat([of_round.scores for of_round in self._scored]).topk(self._count).values[-1]
        near = [of_round.above(last - _ROUNDING * max(1.0, abs(float(last)))) for of_round in self._scored]
        rows = torch.cat([of_round.rows for of_round in near])
        bags = LevelBags.concatenate([of_round.bags for of_round in near])
        scores = score_bags(self.query, bags, dtype=torch.float64)
        by_row = rows.argsort()
        best = by_row[scores.scores[0, by_row].argsort(descending=True, stable=True)[: self._count]]
        levels = {level: of_level[:, best] for level, of_level in scores.levels.items()}
        return rows[best], LevelScores(scores.scores[:, best], levels), bags.select(best)


@dataclass(frozen=True)
class _Scored:
    """Rows of one round, their scores in float32 and their bags."""

    rows: Tensor
    scores: Tensor
    bags: LevelBags

    def above(self, limit: float | Tensor) -> _Scored:
        """Those that score at least `limit`."""
        near = (self.scores >= limit).nonzero()[:, 0]
        return _Scored(self.rows[near], self.scores[near], self.bags.select(near))
