"""Stretches of videos as files of their own; its names are imported when they are first used."""

from typing import TYPE_CHECKING

from video_colbert.lazy_names import lazy_names

if TYPE_CHECKING:
    from video_colbert.excerpts.browser_formats import browser_plays
    from video_colbert.excerpts.excerpt_cache import ExcerptCache
    from video_colbert.excerpts.excerpts import cut_video, frame_picture, join_ranges, playable_excerpt
    from video_colbert.excerpts.stretch import CutReport, Stretch

_MODULES = {
    "CutReport": "stretch",
    "ExcerptCache": "excerpt_cache",
    "Stretch": "stretch",
    "browser_plays": "browser_formats",
    "cut_video": "excerpts",
    "frame_picture": "excerpts",
    "join_ranges": "excerpts",
    "playable_excerpt": "excerpts",
}

__all__ = [
    "CutReport",
    "ExcerptCache",
    "Stretch",
    "browser_plays",
    "cut_video",
    "frame_picture",
    "join_ranges",
    "playable_excerpt",
]

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{module}" for name, module in _MODULES.items()})
