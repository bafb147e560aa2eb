"""From the best rows of a version to hits: windows grouped by video, with the moments of each word."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.hits import SearchHit, find_moments, find_ranges, finite_scores
from video_colbert.encoding.media_files import is_gone
from video_colbert.index.filters import Filter
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.lance.snapshot import IndexSnapshot
from video_colbert.index.search.rescoring import TopRows
from video_colbert.index.search.scoring import check_queries
from video_colbert.index.search.searcher import Searcher

# Windows asked for at first for each video that is wanted; if they are of too few videos, as many again.
_WINDOWS_A_VIDEO = 4


def search_snapshot(
    snapshot: IndexSnapshot,
    searcher_of: Callable[[IndexSnapshot], Searcher],
    queries: EncodedQueries,
    top_k: int,
    condition: Filter | None,
    *,
    groups: bool,
) -> list[list[SearchHit]]:
    """Searches a version, as `VideoIndex.search` says.

    Args:
        snapshot: the version.
        searcher_of: gives the searcher over it.
        queries: Nq encoded queries.
        top_k: hits a query, at most.
        condition: that hits satisfy; None for all.
        groups: of the windows of one video, give the best only.
    """
    rows = None if condition is None else snapshot.rows_where(condition)
    if not len(snapshot):
        return [[] for _ in queries.texts]
    check_queries(queries, snapshot.dimensions, f"the index in {snapshot.table.location}")
    return find_hits(snapshot, searcher_of(snapshot), queries, top_k, rows=rows, group_windows=groups)


def find_hits(
    snapshot: IndexSnapshot,
    searcher: Searcher,
    queries: EncodedQueries,
    top_k: int,
    *,
    rows: Tensor | None,
    group_windows: bool,
) -> list[list[SearchHit]]:
    """Finds the best videos of a version for each query.

    Args:
        snapshot: the version.
        searcher: over this very snapshot.
        queries: Nq encoded queries.
        top_k: hits a query, at most.
        rows: int64 rows that a filter allows; None for all.
        group_windows: of the windows of one video, give the best only.
    """
    available = len(snapshot) if rows is None else len(rows)
    groups = group_windows and snapshot.has_windows
    count = top_k * _WINDOWS_A_VIDEO if groups else top_k
    while True:
        top = searcher.top(queries, count, rows=rows)
        videos = [snapshot.videos_at(found) for found in top.rows]
        chosen = [_best_of_each(of_query) if groups else list(range(len(of_query))) for of_query in videos]
        # A video without tokens on any level that counts is no hit.
        chosen = [
            [column for column in columns if top.scores[query, column] > -math.inf]
            for query, columns in enumerate(chosen)
        ]
        # The best windows hold the best videos in order, however many windows a video has.
        if count >= available or all(len(columns) >= top_k for columns in chosen):
            break
        count *= 2
        del top
    return [
        [
            _hit(queries, query, top, column, videos[query][column], rank)
            for rank, column in enumerate(columns[:top_k], start=1)
        ]
        for query, columns in enumerate(chosen)
    ]


def _best_of_each(windows: Sequence[IndexedVideo]) -> list[int]:
    """Where the first window of each video stands."""
    first: dict[str, int] = {}
    for column, window in enumerate(windows):
        first.setdefault(window.path, column)
    return list(first.values())


def _hit(queries: EncodedQueries, query: int, top: TopRows, column: int, video: IndexedVideo, rank: int) -> SearchHit:
    bags = top.bags[query]
    # Moments are those of the frame level.
    frame_embeds = bags["frame"].bag(column) if "frame" in bags else None
    return SearchHit(
        rank=rank,
        video=video.path,
        start=video.start or 0.0,
        end=video.duration if video.end is None else video.end,
        score=float(top.scores[query, column]),
        level_scores=finite_scores({level: scores[query, column] for level, scores in top.level_scores.items()}),
        moments=() if frame_embeds is None else find_moments(queries, query, frame_embeds, video.timestamps),
        ranges=() if frame_embeds is None else find_ranges(queries, query, frame_embeds, video.timestamps),
        is_gone=is_gone(video.path),
    )
