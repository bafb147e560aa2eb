"""More like a stored video, or like a moment of it: its stored tokens are the query."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from video_colbert.encoding.display import format_seconds, short_name
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.index.named_videos import find_named
from video_colbert.index.passages.asked_sources import searched_model
from video_colbert.index.searching import needed_encoder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.index.filters import Filter
    from video_colbert.index.index import Index
    from video_colbert.index.indexed_video import IndexedVideo
    from video_colbert.index.search.level_bags import LevelBags

# Query tokens of a level at most: of a film in windows, as many as these, evenly over it.
_MOST_TOKENS = 256


def similar_videos(
    index: Index,
    video: str,
    start: float | None,
    end: float | None,
    *,
    top_k: int,
    where: Filter | str | None,
    min_score: float | None,
) -> SearchHits:
    """Finds videos that are like a stored one; arguments, result and errors are those of `Index.similar`."""
    from video_colbert.encoding.search_hits import SearchHits

    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    if min_score is not None and not math.isfinite(min_score):
        raise ValueError(f"min_score must be a finite number, got {min_score}")
    query, path = stored_query(index, video, start, end)
    # Of the windows of a video the best is given, so that the video itself takes one hit.
    [found] = index.stored.search(query, top_k=top_k + 1, where=where)
    others = [hit for hit in found if hit.video != path][:top_k]
    hits = [dataclasses.replace(hit, rank=rank) for rank, hit in enumerate(others, start=1)]
    wanted = [hit for hit in hits if min_score is None or hit.score >= min_score]
    return SearchHits(query.texts[0], searched_model(index.stored), wanted)


def stored_query(index: Index, video: str, start: float | None, end: float | None) -> tuple[EncodedQueries, str]:
    """The stored tokens of a video, or of a moment of it, as one query.

    Args:
        index: an index with its encoder.
        video: as `Index.similar` takes it.
        start: where the moment starts, in seconds; None for the beginning of the video.
        end: where it ends; None for its end.

    Returns:
        The query, and the path of the video.

    Raises:
        IndexStoreError: the video is not in the index, its name fits several, or the index cannot be read.
        ValueError: the moment ends before it starts, or no part of the video is in it.
    """
    from video_colbert.encoding.visual_query.visual_bags import queries_of_videos

    stored = index.videos
    ids = set(find_named(stored, [video], index.location, outcome="nothing was searched"))
    videos = sorted((each for each in stored if each.id in ids), key=_start)
    is_moment = start is not None or end is not None
    first, last = start or 0.0, math.inf if end is None else end
    if not 0.0 <= first < last:
        raise ValueError(f"a moment starts at 0 s or later and ends after its start, got {start} s to {end} s")
    parts = [each for each in videos if _start(each) < last and first < _end(each)]
    title = short_name(videos[0].path)
    if is_moment:
        until = format_seconds(min(last, max(map(_end, videos))))
        title = f"{title} {format_seconds(first)}-{until}"
    if not parts:
        raise ValueError(f"{title} is outside of the video, which ends at {format_seconds(max(map(_end, videos)))}")
    bags = index.stored.tokens_of([each.id for each in parts])
    times = [each.timestamps for each in parts]
    config = needed_encoder(index, "find similar videos").model.config
    query = _chosen_tokens(bags, times, (first, last) if is_moment else None, by_frames="frame" in config.score_levels)
    return queries_of_videos([query], [f"like {title}"], [is_moment], config), videos[0].path


def _chosen_tokens(
    bags: LevelBags, times: Sequence[Sequence[float]], moment: tuple[float, float] | None, *, by_frames: bool
) -> EncodedVideo:
    """The tokens of windows end to end, at most as many as a query may have.

    Args:
        bags: of the windows.
        times: when the frames of each appear.
        moment: start and end, of which alone the frame level's tokens are wanted; None for all.
        by_frames: whether the model scores by the frame level.
    """
    import numpy as np
    import torch

    flat = np.array([time for of_window in times for time in of_window])
    embeds, weights = {}, {}
    for level, of_level in bags.items():
        tokens = of_level.tokens.float()
        chosen = np.arange(len(tokens))
        # One vector of all frames has no times.
        if moment is not None and by_frames and level == "frame" and len(tokens) == len(flat):
            chosen = _frames_in(flat, *moment)
        if len(chosen) > _MOST_TOKENS:
            chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST_TOKENS).round().astype(int)]
        rows = torch.from_numpy(chosen)
        embeds[level] = tokens[rows]
        if of_level.weights is not None:
            weights[level] = of_level.weights[rows]
    return EncodedVideo(VideoClip(""), 0.0, flat, embeds, weights)


def _frames_in(times: npt.NDArray[np.float64], start: float, end: float) -> npt.NDArray[np.int64]:
    """The frames that appear in a stretch; the nearest to its middle where none does."""
    import numpy as np

    inside = np.flatnonzero((times >= start) & (times < end))
    if len(inside):
        return inside
    return np.array([np.abs(times - (start + min(end, times.max())) / 2).argmin()])


def _start(video: IndexedVideo) -> float:
    return video.start or 0.0


def _end(video: IndexedVideo) -> float:
    return video.duration if video.end is None else video.end
