"""An index's confidence, learned from judged queries that it is searched for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from video_colbert.encoding.search_hits import SearchHits
from video_colbert.index.confidence.search_confidence import (
    DEPTH,
    JudgedHits,
    SearchConfidence,
    fit_confidence,
    listed,
)
from video_colbert.index.passages.asked_sources import choose_sources
from video_colbert.progress import progress_bar

if TYPE_CHECKING:
    from video_colbert.index.index import Index

_QUERIES_TOGETHER = 32


def judge_searches(index: Index, judged: Sequence[tuple[str, frozenset[str]]]) -> list[JudgedHits]:
    """Searches an index for queries whose right videos are known.

    Args:
        index: with the encoder or text model that its sources take.
        judged: texts with the paths of their videos.

    Returns:
        What was found for each.

    Raises:
        IndexStoreError: the index cannot be read.
    """
    depth = DEPTH + max((len(right) for _, right in judged), default=0)
    found: list[JudgedHits] = []
    starts = range(0, len(judged), _QUERIES_TOGETHER)
    for start in progress_bar(starts, desc="judged queries", unit="batch"):
        part = judged[start : start + _QUERIES_TOGETHER]
        hits: list[SearchHits] = index.search([text for text, _ in part], top_k=depth)
        found += [JudgedHits(listed(of_query), right) for of_query, (_, right) in zip(hits, part, strict=True)]
    return found


def learn_confidence(index: Index, judged: Sequence[JudgedHits]) -> SearchConfidence:
    """Fits the confidence of an index's searches and stores it with the index.

    Args:
        index: of which `judge_searches` found the hits.
        judged: what it found.

    Returns:
        The confidence, which searches give their hits from now on.

    Raises:
        ValueError: as `fit_confidence`.
        IndexStoreError: the index cannot be written.
    """
    sources = choose_sources(index.stored, None)
    weights = {} if index.encoder is None or "video" not in sources else index.encoder.model.config.weights_of_levels
    confidence = fit_confidence(judged, num_videos=len(index.stored), sources=sources, level_weights=weights)
    index.stored.set_notes(dataclasses.replace(index.stored.notes, confidence=confidence))
    return confidence
