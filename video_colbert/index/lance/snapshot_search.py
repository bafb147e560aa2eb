"""From the best rows of a version to hits: windows grouped by video, with the moments of each word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.lance.snapshot import IndexSnapshot
from video_colbert.index.search.searcher import Searcher, SearchHit, TopRows, find_moments, find_ranges

# Windows asked for at first for each video that is wanted; if they are of too few videos, as many again.
_WINDOWS_A_VIDEO = 4


def find_hits(
    snapshot: IndexSnapshot,
    searcher: Searcher,
    queries: EncodedQueries,
    top_k: int,
    *,
    rows: Tensor | None,
    level_weights: Mapping[str, float] | None,
    group_windows: bool,
) -> list[list[SearchHit]]:
    """Finds the best videos of a version for each query.

    Args:
        snapshot: the version.
        searcher: over this very snapshot.
        queries: Nq encoded queries.
        top_k: hits a query, at most.
        rows: int64 positions that a filter allows; None for all.
        level_weights: weight of each level; 1 where none is given.
        group_windows: of the windows of one video, give the best only.
    """
    available = len(snapshot) if rows is None else len(rows)
    groups = group_windows and snapshot.has_windows
    count = top_k * _WINDOWS_A_VIDEO if groups else top_k
    while True:
        top = searcher.top(queries, count, rows=rows, level_weights=level_weights)
        videos = [snapshot.videos_at(found) for found in top.rows]
        chosen = [_best_of_each(of_query) if groups else list(range(len(of_query))) for of_query in videos]
        # The best windows hold the best videos in order, however many windows a video has.
        if count >= available or all(len(places) >= top_k for places in chosen):
            break
        count *= 2
        del top
    chosen = [places[:top_k] for places in chosen]
    return [
        [_hit(queries, query, top, place, videos[query][place], rank) for rank, place in enumerate(places, start=1)]
        for query, places in enumerate(chosen)
    ]


def _best_of_each(windows: Sequence[IndexedVideo]) -> list[int]:
    """The place of the first window of each video."""
    first: dict[str, int] = {}
    for place, window in enumerate(windows):
        first.setdefault(window.path, place)
    return list(first.values())


def _hit(queries: EncodedQueries, query: int, top: TopRows, place: int, video: IndexedVideo, rank: int) -> SearchHit:
    frame_embeds = top.frames[query].bag(place)
    levels = {"frame": top.frame_scores, "video": top.video_scores}
    return SearchHit(
        rank=rank,
        video=video.path,
        start=video.start or 0.0,
        end=video.duration if video.end is None else video.end,
        score=float(top.scores[query, place]),
        level_scores={level: float(scores[query, place]) for level, scores in levels.items() if scores is not None},
        moments=find_moments(queries, query, frame_embeds, video.timestamps),
        ranges=find_ranges(queries, query, frame_embeds, video.timestamps),
    )
