"""The hits of a query as a list that programs, terminals and notebooks can show."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, overload

from video_colbert.encoding.display import format_seconds, frame_picture, link_to, short_name
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.hits import SearchHit, find_moments, find_ranges
from video_colbert.encoding.level_scores import level_scores, pad_levels
from video_colbert.encoding.media_files import is_remote
from video_colbert.processing import VideoDecodingError
from video_colbert.processing.video_sources import source_name


class SearchHits(list[SearchHit]):
    """The hits of one query, best first.

    Args:
        query: the text that was searched for.
        model: Hub id or folder of the model.
        hits: best first.

    Attributes:
        query: as given.
        model: as given.

    Example:
        >>> hits = encoder.rerank("a dog runs", ["a.mp4", "b.mp4"])
        >>> hits.query, len(hits), type(hits[:1]).__name__
        ('a dog runs', 2, 'SearchHits')
    """

    def __init__(self, query: str, model: str, hits: Iterable[SearchHit] = ()) -> None:
        super().__init__(hits)
        self.query = query
        self.model = model

    @overload
    def __getitem__(self, key: SupportsIndex) -> SearchHit: ...

    @overload
    def __getitem__(self, key: slice) -> SearchHits: ...

    def __getitem__(self, key: SupportsIndex | slice) -> SearchHit | SearchHits:
        """A hit, or some of them that are shown alike."""
        found = super().__getitem__(key)
        return SearchHits(self.query, self.model, found) if isinstance(found, list) else found

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or f"no hits for {self.query!r}"

    def _repr_html_(self) -> str:
        """The hits as a notebook shows them: a row each, with a picture of every frame that a word matched best."""
        if not self:
            return f"<p>No hits for <em>{html.escape(self.query)}</em>.</p>"
        rows = "".join(
            f"<tr><td>{hit.rank}</td><td>{hit.score:.3f}</td>"
            f'<td style="text-align: left">{_name_html(hit)}<br>'
            f"{format_seconds(hit.start)} to {format_seconds(hit.end)}</td>"
            f'<td style="text-align: left">{_pictures_html(hit)}</td></tr>'
            for hit in self
        )
        return f"<table><caption>{html.escape(self.query)}</caption>{rows}</table>"

    def as_dict(self) -> dict[str, Any]:
        """Query, model and hits, ready for JSON."""
        return {"query": self.query, "model": self.model, "hits": [hit.as_dict() for hit in self]}

    def as_table(self) -> str:
        """A table of rank, scores, window, file and matched moments, for a terminal."""
        if not self:
            return "No hits."
        levels = list(dict.fromkeys(level for hit in self for level in hit.level_scores))
        head = "".join(f"  {name:>7}" for name in ("score", *levels))
        lines = [f"{'rank':>4}{head}  {'seconds':>15}  file"]
        for hit in self:
            found = [f"{hit.level_scores[level]:.4f}" if level in hit.level_scores else "-" for level in levels]
            scores = f"  {hit.score:>7.4f}" + "".join(
                f"  {score:>{max(7, len(level))}}" for level, score in zip(levels, found, strict=True)
            )
            window = f"{hit.start:.1f} - {hit.end:.1f}"
            lines.append(f"{hit.rank:>4}{scores}  {window:>15}  {short_name(hit.video)}")
            moments = ", ".join(f"{moment.word} at {format_seconds(moment.time)}" for moment in hit.moments)
            lines.append(f"{'':>6}{moments}")
        return "\n".join(lines)


def rank_videos(query: EncodedQueries, videos: Sequence[EncodedVideo], model: str) -> SearchHits:
    """Hits of one encoded query among encoded videos, best first; of equal scores, in the order given.

    Args:
        query: encoded queries, of which there is one.
        videos: encoded videos.
        model: Hub id or folder of the model.
    """
    if not videos:
        return SearchHits(query.texts[0], model)
    scores = {level: of_level[0].tolist() for level, of_level in level_scores(query, pad_levels(videos)).items()}
    total = scores.pop("sum")
    hits = []
    for rank, place in enumerate(sorted(range(len(videos)), key=lambda place: -total[place]), start=1):
        video = videos[place]
        frames, times = video.embeds["frame"], tuple(video.timestamps.tolist())
        hits.append(
            SearchHit(
                rank=rank,
                video=source_name(video.clip.source),
                start=video.clip.start or 0.0,
                end=video.duration if video.clip.end is None else video.clip.end,
                score=total[place],
                level_scores={level: of_level[place] for level, of_level in scores.items()},
                moments=find_moments(query, 0, frames, times),
                ranges=find_ranges(query, 0, frames, times),
            )
        )
    return SearchHits(query.texts[0], model, hits)


def _name_html(hit: SearchHit) -> str:
    name = html.escape(short_name(hit.video))
    return f'<a href="{html.escape(link_to(hit.video, Path()))}">{name}</a>' if is_remote(hit.video) else name


def _pictures_html(hit: SearchHit) -> str:
    """The frames of a hit, each with its words; the middle one for a hit without moments."""
    words: dict[float, list[str]] = {} if hit.moments else {(hit.start + hit.end) / 2: []}
    for moment in hit.moments:
        words.setdefault(moment.time, []).append(moment.word)
    figures = []
    for time, of_frame in sorted(words.items()):
        caption = html.escape(" ".join([format_seconds(time), *of_frame]))
        try:
            # A page of hits at URLs would fetch each video whole.
            picture = "" if is_remote(hit.video) else f'<img src="{frame_picture(hit.video, time)}"><br>'
        except (VideoDecodingError, OSError) as error:
            picture = f"<em>no picture: {html.escape(str(error))}</em><br>"
        figures.append(f'<span style="display: inline-block; margin-right: 1em">{picture}{caption}</span>')
    return "".join(figures)
