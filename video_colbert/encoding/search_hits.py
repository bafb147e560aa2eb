"""The hits of a query as a list that programs, terminals and notebooks can show."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, overload

from video_colbert.console import printable
from video_colbert.encoding.display import format_seconds, frame_picture, link_to, short_name
from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.encoding.hits import Moment, MomentRange, SearchHit, find_moments, find_ranges
from video_colbert.encoding.level_scores import level_scores, pad_levels
from video_colbert.encoding.media_files import is_remote
from video_colbert.processing import VideoDecodingError
from video_colbert.processing.video_sources import source_name

# Where the lines of a hit below its first begin.
_INDENT = 4


class SearchHits(list[SearchHit]):
    """The hits of one query, best first.

    Args:
        query: the text that was searched for.
        model: Hub id or folder of the model.
        hits: best first.
        false_positive_rate: the share of queries for a video that is not there whose first hit is as good as that of
            this one, from 0 to 1; None where the index did not learn it for such searches.

    Attributes:
        query: as given.
        model: as given.
        false_positive_rate: as given.

    Example:
        >>> hits = encoder.rerank("a dog runs", ["a.mp4", "b.mp4"])
        >>> hits.query, len(hits), type(hits[:1]).__name__
        ('a dog runs', 2, 'SearchHits')
    """

    def __init__(
        self, query: str, model: str, hits: Iterable[SearchHit] = (), *, false_positive_rate: float | None = None
    ) -> None:
        super().__init__(hits)
        self.query = query
        self.model = model
        self.false_positive_rate = false_positive_rate

    @overload
    def __getitem__(self, key: SupportsIndex) -> SearchHit: ...

    @overload
    def __getitem__(self, key: slice) -> SearchHits: ...

    def __getitem__(self, key: SupportsIndex | slice) -> SearchHit | SearchHits:
        """A hit, or some of them that are shown alike."""
        found = super().__getitem__(key)
        return self._with(found) if isinstance(found, list) else found

    def likely(self, *, min_probability: float = 0.0, max_false_positive_rate: float = 1.0) -> SearchHits:
        """The hits that are likely enough right: none where the query's video is likely not there at all.

        Args:
            min_probability: what a hit's probability is at least.
            max_false_positive_rate: what `false_positive_rate` is at most; above it there are no hits. Of queries
                whose video is not there, at most this share gets any.

        Raises:
            ValueError: the index did not learn how likely hits of such a search are right, or a number is not from 0
                to 1.

        Example:
            >>> hits = SearchHits("a dog", "my_model", false_positive_rate=0.3)
            >>> len(hits.likely(max_false_positive_rate=0.05))
            0
        """
        for name, value in (
            ("min_probability", min_probability),
            ("max_false_positive_rate", max_false_positive_rate),
        ):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")
        if self.false_positive_rate is None:
            raise ValueError(
                "how likely these hits are right is not known; `video-colbert confidence` learns it for an index, for "
                "searches by text of all that the index holds, without a condition and without other weights of levels"
            )
        if self.false_positive_rate > max_false_positive_rate:
            return self._with(())
        return self._with(hit for hit in self if (hit.probability or 0.0) >= min_probability)

    def _with(self, hits: Iterable[SearchHit]) -> SearchHits:
        return SearchHits(self.query, self.model, hits, false_positive_rate=self.false_positive_rate)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or f"no hits for {self.query!r}"

    def _repr_html_(self) -> str:
        """The hits as a notebook shows them: a row each, with a picture of every frame that a word matched best."""
        if not self:
            return f"<p>No hits for <em>{html.escape(self.query)}</em>.</p>"
        rows = "".join(
            f"<tr><td>{hit.rank}</td><td>{hit.score:.3f}</td>"
            f'<td style="text-align: left">{_name_html(hit)}<br>{_window_html(hit)}</td>'
            f'<td style="text-align: left">{_passages_html(hit)}{_pictures_html(hit)}</td></tr>'
            for hit in self
        )
        return f"<table><caption>{html.escape(self.query)}</caption>{rows}</table>"

    def as_dict(self) -> dict[str, Any]:
        """Query, model and hits, ready for JSON."""
        known = {} if self.false_positive_rate is None else {"false_positive_rate": round(self.false_positive_rate, 4)}
        return {"query": self.query, "model": self.model, **known, "hits": [hit.as_dict() for hit in self]}

    def as_text(self, *, scores: bool = False, width: int = 80) -> str:
        """The hits as a terminal shows them: path, from when to when, and each matched range with its moments.

        Words that only hold a sentence together ("a", "of") are left out.

        Args:
            scores: whether the score of each level is given too.
            width: columns of a line, at most; only a path, which is always whole, may be longer.

        Example:
            >>> moments = (Moment("a", 0.0, 0.1), Moment("dog", 1.2, 0.4), Moment("ball", 3.4, 0.3))
            >>> ranges = (MomentRange(0.8, 1.6, ("a", "dog")), MomentRange(3.0, 3.8, ("ball",)))
            >>> hit = SearchHit(1, "a.mp4", 0.0, 9.5, 0.412, {"frame": 0.412}, moments, ranges)
            >>> print(SearchHits("a dog, a ball", "my_model", [hit]).as_text(scores=True))
             1. a.mp4  0:00.0-0:09.5  score 0.412 (frame 0.412)
                0:00.8-0:01.6  dog 0:01.2
                0:03.0-0:03.8  ball 0:03.4
        """
        if not self:
            return "No hits."
        return "\n".join(line for hit in self for line in _hit_lines(hit, scores=scores, width=width))


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


def _hit_lines(hit: SearchHit, *, scores: bool, width: int) -> Iterator[str]:
    """The lines of one hit."""
    number = f"{hit.rank:>2}."
    name = f"{number} {short_name(hit.video)}"
    window = "" if hit.is_text else f"{format_seconds(hit.start)}-{format_seconds(hit.end)}  "
    facts = f"{window}score {hit.score:.3f}"
    if scores and hit.level_scores:
        facts += f" ({', '.join(f'{level} {score:.3f}' for level, score in hit.level_scores.items())})"
    if hit.probability is not None:
        facts += f"  {hit.probability:.0%} likely"
    if hit.is_gone:
        facts += "  file is gone"
    if len(name) + 2 + len(facts) <= width:
        yield f"{name}  {facts}"
    else:
        yield name
        yield f"{'':{_INDENT}}{facts}"
    for source in hit.sources:
        if source.text is not None:
            yield f"{'':{_INDENT}}{source.line(width - _INDENT)}"
    if hit.sources and hit.sources[0].text is not None:
        # The passage says what its moments would say.
        return
    moments = {moment.word: moment for moment in hit.telling_moments}
    for part in hit.ranges:
        shown = [moments[word] for word in dict.fromkeys(part.words) if word in moments]
        if (shows := moments.get("")) is not None and part.start <= shows.time <= part.end:
            shown.append(shows)
        if shown:
            yield from _range_lines(part, shown, width)


def _range_lines(part: MomentRange, moments: Sequence[Moment], width: int) -> Iterator[str]:
    """The lines of one range, which break between its moments."""
    head = f"{'':{_INDENT}}{format_seconds(part.start)}-{format_seconds(part.end)}"
    line = head
    for number, moment in enumerate(moments):
        text = f"{printable(moment.word)} {format_seconds(moment.time)}".strip()
        if number == 0:
            line += f"  {text}"
        elif len(line) + 2 + len(text) <= width - 1:
            line += f", {text}"
        else:
            yield f"{line},"
            line = f"{'':{len(head)}}  {text}"
    yield line


def _name_html(hit: SearchHit) -> str:
    name = html.escape(short_name(hit.video))
    return f'<a href="{html.escape(link_to(hit.video, Path()))}">{name}</a>' if is_remote(hit.video) else name


def _window_html(hit: SearchHit) -> str:
    return "" if hit.is_text else f"{format_seconds(hit.start)} to {format_seconds(hit.end)}"


def _passages_html(hit: SearchHit) -> str:
    return "".join(f"{source.as_html()}<br>" for source in hit.sources if source.text is not None)


def _pictures_html(hit: SearchHit) -> str:
    """The frames of a hit, each with its words; the middle one for a hit without moments, and none of a text."""
    if hit.is_text:
        return ""
    shown = hit.telling_moments
    words: dict[float, list[str]] = {} if shown else {(hit.start + hit.end) / 2: []}
    for moment in shown:
        words.setdefault(moment.time, []).append(moment.word)
    figures = []
    for time, of_frame in sorted(words.items()):
        caption = html.escape(" ".join([format_seconds(time), *filter(None, of_frame)]))
        try:
            # A page of hits at URLs would fetch each video whole.
            picture = "" if is_remote(hit.video) else f'<img src="{frame_picture(hit.video, time)}"><br>'
        except (VideoDecodingError, OSError) as error:
            picture = f"<em>no picture: {html.escape(str(error))}</em><br>"
        figures.append(f'<span style="display: inline-block; margin-right: 1em">{picture}{caption}</span>')
    return "".join(figures)
