"""The contents whose passages fit queries best: the best passage of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from video_colbert.encoding.encoded import TEXT_LEVEL
from video_colbert.index.lance.passages.passage_rows import CONTENT, LETTERS, SOURCE, letters_of, stored_passage
from video_colbert.index.passages.passage_store import FoundPassage
from video_colbert.index.search.scoring import check_queries
from video_colbert.text.passages import Source

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.index.lance.snapshot import IndexSnapshot
    from video_colbert.index.search.searcher import Searcher

# Passages asked for at first for each content that is wanted, and at most: where long contents take all places, the
# others of a list are those that are far from the best anyway.
_PASSAGES_A_CONTENT, _MOST_PASSAGES_A_CONTENT = 2, 16


def find_passages(
    snapshot: IndexSnapshot,
    searcher: Callable[[], Searcher],
    queries: EncodedQueries,
    source: Source,
    count: int,
    contents: Collection[str] | None,
) -> list[list[FoundPassage]]:
    """Finds the best contents of a version for each query, as `PassageStore.search` says.

    Args:
        snapshot: the version.
        searcher: gives the searcher over it.
        queries: of the text model.
        source: whose passages are asked.
        count: contents a query, at most.
        contents: among which they are chosen; None for all.
    """
    if not len(snapshot):
        return [[] for _ in queries.texts]
    check_queries(queries, snapshot.dimensions, f"the table of passages in {snapshot.table.location}")
    is_asked = pc.equal(snapshot.records[SOURCE], source).to_numpy()
    if contents is not None:
        among = pa.array(sorted(contents), pa.string())
        is_asked = is_asked & pc.is_in(snapshot.records[CONTENT], value_set=among).to_numpy()
    rows = torch.from_numpy(np.flatnonzero(is_asked))
    asked = count * _PASSAGES_A_CONTENT
    while True:
        top = searcher().top(queries, asked, rows=rows)
        found = [
            _best_of_each(snapshot, top.rows[query], top.scores[query], top.bags[query][TEXT_LEVEL].bag)
            for query in range(len(queries.texts))
        ]
        is_enough = asked >= len(rows) or asked >= count * _MOST_PASSAGES_A_CONTENT
        if is_enough or all(len(of_query) >= count for of_query in found):
            return [of_query[:count] for of_query in found]
        asked *= 2


def _best_of_each(
    snapshot: IndexSnapshot, rows: torch.Tensor, scores: torch.Tensor, bag: Callable[[int], torch.Tensor]
) -> list[FoundPassage]:
    best: dict[str, FoundPassage] = {}
    records = snapshot.records.take(pa.array(rows.numpy())).to_pylist()
    for column, (row, score) in enumerate(zip(records, scores.tolist(), strict=True)):
        if row[CONTENT] not in best and score > -math.inf:
            letters = tuple(letters_of(row[LETTERS]))
            best[row[CONTENT]] = FoundPassage(stored_passage(row), score, bag(column), letters)
    return list(best.values())
