"""From a query to an answer: what one index that is served finds, with what is known of each hit."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from video_colbert.app.answers.relevance import relevances, score_at_random
from video_colbert.app.answers.search_answer import SearchAnswer, describe_hits
from video_colbert.app.asked import visual_query_of
from video_colbert.app.media.playable import plays_as_it_is
from video_colbert.app.media.stored_files import find_stored_video
from video_colbert.app.served_index import ServedIndex
from video_colbert.app.service_query import ServiceQuery
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.hits import SearchHit
from video_colbert.encoding.search_hits import SearchHits
from video_colbert.index.passages.asked_sources import searched_model
from video_colbert.index.passages.source_search import VIDEO


def answer_query(served: ServedIndex, query: ServiceQuery) -> SearchAnswer:
    """Finds the videos that fit best.

    Args:
        served: the index.
        query: what is asked of it, checked.

    Raises:
        QueryError: the picture or clip cannot be read, or is not what this index is asked by.
        NotServedError: the index holds no such video as the query names.
        FilterError: the condition is not understood, or asks for a column that the index does not have.
        IndexStoreError: the index holds nothing of a source, or cannot be read or reached.
    """
    begin = time.monotonic()
    sources = served.sources_of(query.sources)
    if query.moment is not None and not query.text.strip():
        hits, stored = served.similar(query.moment, query.top_k, query.where, query.min_score)
        answer = _described(served, hits, {}, _score_at_random(served, stored))
        return dataclasses.replace(answer, seconds=time.monotonic() - begin)
    visual = visual_query_of(query, served.index.stored)
    if visual is not None and visual.text is None and VIDEO in sources:
        # What is shown is compared with pictures alone.
        sources = (VIDEO,)
    encoded = served.encode(query.text if visual is None else visual, sources)
    asked: Any = encoded
    if encoded is None:
        asked = [query.text]
    elif visual is not None and sources != (VIDEO,):
        asked = visual
    found = served.index.search(
        asked,
        top_k=query.top_k,
        where=query.where.strip() or None,
        sources=sources,
        min_score=query.min_score,
    )
    hits = found if isinstance(found, SearchHits) else found[0]
    if query.moment is not None:
        path = find_stored_video(served.index.stored, query.moment.video).path
        hits = SearchHits(hits.query, hits.model, [hit for hit in hits if hit.video != path])
    windows: Mapping[str, list[SearchHit]] = {}
    if encoded is not None and query.with_windows:
        windows = served.further_windows(encoded, [hit for hit in hits if not hit.is_text])
    at_random = _score_at_random(served, encoded) if encoded is not None and sources == (VIDEO,) else None
    answer = _described(served, hits, windows, at_random)
    truncated = encoded is not None and bool(encoded.truncated)
    return dataclasses.replace(answer, truncated=truncated, seconds=time.monotonic() - begin)


def _score_at_random(served: ServedIndex, queries: EncodedQueries) -> float | None:
    sample = served.sample()
    return None if sample is None else score_at_random(queries, sample)


def _described(
    served: ServedIndex, hits: SearchHits, windows: Mapping[str, list[SearchHit]], at_random: float | None
) -> SearchAnswer:
    videos = served.videos_at([hit.video for hit in hits if not hit.is_text])
    playable = {path: plays_as_it_is(path) for path in videos}
    shares = relevances(hits, at_random, len(served.index.stored))
    return SearchAnswer(
        query=hits.query,
        index=served.name,
        model=searched_model(served.index.stored),
        hits=describe_hits(hits, videos, windows, playable, shares),
        zero_shot=served.zero_shot,
        false_positive_rate=hits.false_positive_rate,
    )
