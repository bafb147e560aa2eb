"""A query of any kind to hits: which sources it asks, and in which form each takes it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.inputs import as_texts
from video_colbert.encoding.visual_query import VisualQuery, as_visual_query
from video_colbert.errors import IndexStoreError
from video_colbert.index.confidence.search_confidence import DEPTH, with_probabilities
from video_colbert.index.fusion.fusing import FUSION_METHODS, FusionMethod
from video_colbert.index.passages.asked_sources import choose_sources, searched_model
from video_colbert.index.passages.source_lists import source_queries
from video_colbert.index.passages.source_search import VIDEO, search_sources

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    from video_colbert.encoding.encoded import VideoClip
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.encoding.visual_query.encode import DecodeClip
    from video_colbert.index.filters import Filter
    from video_colbert.index.index import Index

    OneQuery: TypeAlias = str | VisualQuery | VideoClip | Image | npt.NDArray[np.uint8]

# Videos by which the scores of words and of pictures are brought to one scale: their spread is known to some 5 %.
_SAMPLE = 256
DEFAULT_FUSION: FusionMethod = "calibrated"
"""How the lists of several sources are fused unless another way is asked for."""

# Of fewer, nothing is known.
_LEAST_SAMPLE = 8


def search_index(
    index: Index,
    query: OneQuery | Sequence[str] | EncodedQueries,
    *,
    top_k: int,
    where: Filter | str | None,
    level_weights: Mapping[str, float] | None,
    min_score: float | None,
    group_windows: bool,
    sources: Collection[str] | None,
    fusion: FusionMethod,
) -> SearchHits | list[SearchHits]:
    """Finds the best videos; arguments, result and errors are those of `Index.search`."""
    from video_colbert.encoding.search_hits import SearchHits

    if min_score is not None and not math.isfinite(min_score):
        raise ValueError(f"min_score must be a finite number, got {min_score}")
    if fusion not in FUSION_METHODS:
        raise ValueError(f"fusion must be one of {', '.join(FUSION_METHODS)}, got {fusion!r}")
    visual = None if isinstance(query, EncodedQueries | str) else as_visual_query(query)
    chosen = _chosen_sources(index, visual, sources, group_windows=group_windows)
    if visual is not None:
        titles, texts = [visual.title], [visual.text or ""]
    else:
        titles = texts = list(query.texts) if isinstance(query, EncodedQueries) else as_texts(query, "query")
    if not texts:
        return []
    queries: EncodedQueries | None = None
    if VIDEO in chosen:
        if isinstance(query, EncodedQueries):
            queries = query
        elif visual is not None:
            queries = encode_visual(index, visual)
        else:
            queries = needed_encoder(index, "search for texts").encode_queries(texts)
        if level_weights is not None:
            queries = queries.with_level_weights(level_weights)
    confidence = index.stored.notes.confidence
    if confidence is not None and not (
        visual is None
        and where is None
        and group_windows
        and fusion == DEFAULT_FUSION
        and confidence.is_of(chosen, {} if queries is None else queries.level_weights)
    ):
        # Hits of another search score otherwise.
        confidence = None
    depth = top_k if confidence is None else max(top_k, DEPTH)
    if queries is not None and chosen == (VIDEO,):
        found = index.stored.search(queries, top_k=depth, where=where, group_windows=group_windows)
    else:
        asked = source_queries(index, texts, queries, chosen)
        known = index.stored.notes.fusion
        if visual is not None:
            # A query that shows something scores otherwise than words do.
            known = known.without(VIDEO)
        found = search_sources(index.stored, asked, chosen, top_k=depth, where=where, fusion=fusion, parameters=known)
    model = searched_model(index.stored)
    hits = []
    for title, of_query in zip(titles, found, strict=True):
        rate = None
        if confidence is not None:
            of_query, rate = with_probabilities(confidence, of_query)
        kept = [hit for hit in of_query[:top_k] if min_score is None or hit.score >= min_score]
        hits.append(SearchHits(title, model, kept, false_positive_rate=rate))
    return hits[0] if isinstance(query, str) or visual is not None else hits


def encode_visual(index: Index, query: VisualQuery, decode: DecodeClip | None = None) -> EncodedQueries:
    """A visual query as the video model takes it, its words and what it shows on one scale in the index.

    Args:
        index: an index with its encoder.
        query: what is asked.
        decode: decodes a clip, for who takes it from strangers; by default it is decoded in this process.

    Raises:
        IndexStoreError: the index was opened without an encoder, or cannot be read.
        VideoDecodingError: the clip cannot be decoded.
        EncodingError: the model does not take words and a picture together.
    """
    from video_colbert.encoding.visual_query.combination import combine_queries
    from video_colbert.encoding.visual_query.encode import encode_shown

    encoder = needed_encoder(index, "search by picture")
    # A clip that is sampled otherwise than those it is compared with is less like itself.
    visual = encode_shown(encoder, [query], num_frames=index.stored.num_frames, decode=decode)
    if query.text is None:
        return visual
    words = encoder.encode_queries([query.text])
    combined = combine_queries(words, visual, [query.text_weight], [_spread_ratio(index, words, visual)])
    return dataclasses.replace(combined, texts=[query.title])


def needed_encoder(index: Index, purpose: str) -> VideoColBERTEncoder:
    """The encoder of an index.

    Args:
        index: the index.
        purpose: what it is needed for.

    Raises:
        IndexStoreError: the index was opened without one.
    """
    if index.encoder is None:
        raise IndexStoreError(
            f"the index in {index.location} was opened without an encoder, which it takes to {purpose}; pass "
            f"VideoColBERTEncoder.from_pretrained({index.stored.model.name!r}) to open_index"
        )
    return index.encoder


def _chosen_sources(
    index: Index, visual: VisualQuery | None, sources: Collection[str] | None, *, group_windows: bool
) -> tuple[str, ...]:
    """The sources that a query asks."""
    if visual is not None and visual.text is None:
        if sources is not None and set(sources) != {VIDEO}:
            raise ValueError("a query by picture or clip without words asks the source video alone")
        return choose_sources(index.stored, (VIDEO,))
    chosen = (VIDEO,) if sources is None and not group_windows else choose_sources(index.stored, sources)
    if not group_windows and chosen != (VIDEO,):
        raise ValueError("group_windows=False gives windows of pictures; leave other sources out")
    if visual is not None and VIDEO not in chosen:
        raise ValueError("a query by picture or clip asks the source video; name it among the sources")
    return chosen


def _spread_ratio(index: Index, words: EncodedQueries, visual: EncodedQueries) -> float:
    """The standard deviation of the scores of words over that of what is shown, among videos of an index."""
    from video_colbert.index.search.scoring import score_bags

    sample = index.stored.sampled_tokens(_SAMPLE)
    if sample is None or sample.num_videos < _LEAST_SAMPLE:
        return 1.0
    spreads = []
    for queries in (words, visual):
        scores = score_bags(queries, sample).scores[0]
        spreads.append(float(scores[scores.isfinite()].std()))
    of_words, of_visual = spreads
    is_known = all(math.isfinite(spread) and spread > 0 for spread in spreads)
    return of_words / of_visual if is_known else 1.0
