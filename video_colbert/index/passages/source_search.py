"""Search over pictures and words: a list of each source, fused to one ranking of videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_colbert.encoding.encoded import TEXT_MODEL
from video_colbert.encoding.hits import Moment, MomentRange, SearchHit
from video_colbert.encoding.media_files import is_gone
from video_colbert.encoding.source_hits import SourceHit
from video_colbert.errors import IndexStoreError
from video_colbert.index.fusion.fusing import DEFAULT_METHOD, FusionMethod, fuse
from video_colbert.index.fusion.parameters import NO_PARAMETERS, FusionParameters
from video_colbert.index.passages.matched_words import with_times, words_by_letters, words_by_tokens
from video_colbert.index.passages.passage_store import FoundPassage
from video_colbert.text.passages import SOURCES, TimedWord

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.index.filters import Filter
    from video_colbert.index.indexed_video import IndexedVideo
    from video_colbert.index.video_index import VideoIndex

VIDEO, KEYWORDS = "video", "keywords"
SEARCHED = (VIDEO, *SOURCES, KEYWORDS)
"""What a search can ask: pictures, each source of passages, and the words of all passages as they are written."""

LIST_LENGTH = 100
"""Videos of each list: the more, the better a fusion knows how a source's wrong hits score."""


@dataclass(frozen=True)
class SourceQueries:
    """Queries as each kind of source takes them.

    Attributes:
        texts: Nq queries.
        of_pictures: for the video model; None where pictures are not asked.
        of_passages: for the text model; None where no source of passages is asked.
        factors: for each query what a mean over its tokens is multiplied by to be the text model's score.
    """

    texts: Sequence[str]
    of_pictures: EncodedQueries | None
    of_passages: EncodedQueries | None
    factors: Sequence[float]


def search_sources(
    index: VideoIndex,
    queries: SourceQueries,
    sources: Sequence[str],
    *,
    top_k: int,
    where: Filter | str | None = None,
    fusion: FusionMethod = DEFAULT_METHOD,
    parameters: FusionParameters = NO_PARAMETERS,
) -> list[list[SearchHit]]:
    """Finds the best videos by several sources for each query.

    Args:
        index: the index.
        queries: as the sources take them.
        sources: some of `SEARCHED`; a single one ranks by its own scores.
        top_k: hits a query, at most.
        where: a condition that hits must satisfy; texts that belong to no video satisfy none.
        fusion: how the lists are fused.
        parameters: what is known of the sources.

    Returns:
        For each query its hits, best first, each with the sources that found it.

    Raises:
        IndexStoreError: the index cannot be read, or the fusion needs weights that are not known.
        FilterError: the condition is not understood.
    """
    found = _find(index, queries, sources, max(LIST_LENGTH, 2 * top_k), where)
    hits = [
        of_query.hits(top_k, fusion, parameters.for_query(text))
        for of_query, text in zip(found, queries.texts, strict=True)
    ]
    return _with_word_times(index, hits, found[0].videos if found else {})


def ranked_lists(
    index: VideoIndex, queries: SourceQueries, sources: Sequence[str], *, count: int
) -> list[dict[str, list[tuple[str, float]]]]:
    """What each source finds for each query.

    Args:
        index: the index.
        queries: as the sources take them.
        sources: some of `SEARCHED`.
        count: videos that a source finds for a query, at most.

    Returns:
        For each query, by source, pairs of a video's path, or a text's name, and its score there, the best first.

    Raises:
        IndexStoreError: as `search_sources`.
    """
    found = [of_query.lists() for of_query in _find(index, queries, sources, count, None)]
    return [{source: of_query.get(source, []) for source in sources} for of_query in found]


def _find(
    index: VideoIndex, queries: SourceQueries, sources: Sequence[str], length: int, where: Filter | str | None
) -> list[_Fusion]:
    seen: list[list[SearchHit]] = [[] for _ in queries.texts]
    if queries.of_pictures is not None and VIDEO in sources:
        seen = index.search(queries.of_pictures, top_k=length, where=where)
    contents = None if where is None else {video.digest for video in index.videos_where(where)}
    told: list[dict[str, list[FoundPassage]]] = [{} for _ in queries.texts]
    for source in SOURCES:
        if queries.of_passages is not None and source in sources:
            of_source = index.passages.search(queries.of_passages, source, count=length, contents=contents)
            for of_query, found in zip(told, of_source, strict=True):
                of_query[source] = found
    if KEYWORDS in sources:
        for text, of_query in zip(queries.texts, told, strict=True):
            of_query[KEYWORDS] = index.passages.search_keywords(text, count=length, contents=contents)
    named = {found.stored.content for lists in told for of_source in lists.values() for found in of_source}
    videos = index.videos_of_contents(named)
    return [_Fusion(queries, number, seen[number], told[number], videos) for number in range(len(queries.texts))]


class _Fusion:
    """What all sources found for one query."""

    def __init__(
        self,
        queries: SourceQueries,
        number: int,
        seen: Sequence[SearchHit],
        told: Mapping[str, Sequence[FoundPassage]],
        videos: Mapping[str, IndexedVideo],
    ) -> None:
        self._queries, self._number = queries, number
        self.videos = videos
        self._videos = {video.path: video for video in videos.values()}
        self._seen = {hit.video: hit for hit in seen}
        self._told: dict[str, dict[str, FoundPassage]] = {}
        for source, found in told.items():
            by_name = ((_name(each, videos), each) for each in found)
            self._told[source] = {name: each for name, each in by_name if name is not None}

    def lists(self) -> dict[str, list[tuple[str, float]]]:
        """What each source found."""
        lists = {VIDEO: [(hit.video, hit.score) for hit in self._seen.values()]} if self._seen else {}
        for source, found in self._told.items():
            factor = 1.0 if source == KEYWORDS else self._queries.factors[self._number]
            lists[source] = [(name, factor * each.score) for name, each in found.items()]
        return lists

    def hits(self, top_k: int, fusion: FusionMethod, parameters: FusionParameters) -> list[SearchHit]:
        """The best videos."""
        lists = self.lists()
        if len(lists) == 1:
            [(source, alone)] = lists.items()
            return [
                self._hit(rank, name, score, {source: (rank, score)}, source)
                for rank, (name, score) in enumerate(alone[:top_k], start=1)
            ]
        try:
            fused_hits = fuse(lists, method=fusion, parameters=parameters, limit=top_k)
        except ValueError as error:
            raise IndexStoreError(f"{error}; `video-colbert tune` learns them") from error
        return [
            self._hit(
                rank,
                fused.id,
                fused.score,
                {source: (fused.ranks[source], fused.scores[source]) for source in fused.ranks},
                fused.source,
            )
            for rank, fused in enumerate(fused_hits, start=1)
        ]

    def _hit(self, rank: int, name: str, score: float, found: Mapping[str, tuple[int, float]], best: str) -> SearchHit:
        seen = self._seen.get(name)
        # The source that brings most first.
        order = sorted(found, key=lambda source: (source != best, found[source][0]))
        sources = tuple(self._source_hit(source, name, *found[source]) for source in order)
        first = sources[0]
        if best == VIDEO and seen is not None:
            return dataclasses.replace(seen, rank=rank, score=score, sources=sources)
        video = self._videos.get(name)
        whole = 0.0 if video is None else video.duration
        return SearchHit(
            rank=rank,
            video=name,
            start=0.0 if first.start is None else first.start,
            end=whole if first.end is None else first.end,
            score=score,
            level_scores={} if seen is None else seen.level_scores,
            moments=(),
            is_gone=video is not None and is_gone(name),
            sources=sources,
        )

    def _source_hit(self, source: str, name: str, rank: int, score: float) -> SourceHit:
        if source == VIDEO:
            return SourceHit(VIDEO, rank, score)
        found = self._told[source][name]
        passage = found.stored.passage
        if found.embeds is None or self._queries.of_passages is None:
            matched = words_by_letters(self._queries.texts[self._number], passage.text)
        else:
            bags = self._queries.of_passages.bags[TEXT_MODEL]
            matched = words_by_tokens(bags, self._number, passage.text, found.embeds, found.letters)
        return SourceHit(source, rank, score, passage.text, passage.source, passage.start, passage.end, tuple(matched))


def _name(found: FoundPassage, videos: Mapping[str, IndexedVideo]) -> str | None:
    """The path of a passage's video, or the name of a text of a collection; None of what the index does not hold."""
    content = found.stored.content
    if found.stored.passage.source == "document":
        return content
    return videos[content].path if content in videos else None


def _with_word_times(
    index: VideoIndex, hits: list[list[SearchHit]], videos: Mapping[str, IndexedVideo]
) -> list[list[SearchHit]]:
    """The hits with the times of matched words, as they were read, and moments by the source that brings most."""
    content_of = {video.path: content for content, video in videos.items()}
    wanted = {content_of[hit.video] for of_query in hits for hit in of_query if hit.video in content_of}
    words: dict[tuple[str, str, str, float | None], tuple[TimedWord, ...]] = {}
    for reading in index.readings.read(wanted) if wanted else ():
        for passage in reading.passages:
            if passage.words:
                words[reading.digest, passage.source, passage.text, passage.start] = passage.words

    def timed(hit: SearchHit) -> SearchHit:
        sources = tuple(
            dataclasses.replace(
                each,
                matched=with_times(
                    each.matched,
                    each.text,
                    words.get((content_of.get(hit.video, ""), each.kind or "", each.text, each.start), ()),
                ),
            )
            if each.text is not None
            else each
            for each in hit.sources
        )
        first = sources[0]
        if first.text is None:
            return dataclasses.replace(hit, sources=sources)
        return dataclasses.replace(hit, sources=sources, moments=_moments(first), ranges=_ranges(first))

    return [[timed(hit) for hit in of_query] for of_query in hits]


def _moments(source: SourceHit) -> tuple[Moment, ...]:
    """The matched words as moments; a word whose own time is not known is at the beginning of its passage."""
    if source.start is None:
        return ()
    return tuple(
        Moment(word.word, source.start if word.time is None else word.time, word.similarity) for word in source.matched
    )


def _ranges(source: SourceHit) -> tuple[MomentRange, ...]:
    if source.start is None or source.end is None:
        return ()
    return (MomentRange(source.start, source.end, tuple(dict.fromkeys(word.word for word in source.matched))),)
