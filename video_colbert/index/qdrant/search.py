"""Searching a Qdrant collection: the server finds the best points, and their scores are computed here once more.

The server takes the points whose pooled vectors are nearest as candidates, and of these the best by

    score = sum over levels l of  w_l / n_l * MaxSim_l,   MaxSim_l = sum over the n_l query tokens of max over tokens

which is the weighted sum of MeanMaxSim over the levels (arXiv 2503.19009). Each level's MaxSim is a branch of the
query over the same candidates, and a formula adds the branches' scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from qdrant_client import models
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.hits import SearchHit, find_moments, find_ranges, finite_scores
from video_colbert.encoding.media_files import is_gone
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.qdrant.collection import CollectionDescription, QdrantCollection
from video_colbert.index.qdrant.layout import POOLED, level_vector
from video_colbert.index.qdrant.stored_tokens import fetch_points, level_bags
from video_colbert.index.search.candidates import pool_queries
from video_colbert.index.search.rescoring import single_query
from video_colbert.index.search.scoring import counted_levels, score_bags

QUERY_BATCH = 16
"""Queries in one request."""

# Where the server scores compressed tokens, so many hits for each one wanted are scored again here.
_RESCORED_HITS = 4
# Where it scores float16, it rounds the query to float16 too: two hits more, or a quarter, see to the last place.
_SPARE_HITS, _SPARE_SHARE = 2, 4
# Windows a video that a first query asks for; a query that finds too few videos asks for every candidate.
_WINDOWS = 4


@dataclass(frozen=True)
class SearchRequest:
    """What is asked of every query.

    Attributes:
        top_k: hits a query, at most.
        where: condition on the videos, applied before the candidates are cut.
        group_by: a key of the payload of which each value shows up once, with its best point; None for all points.
    """

    top_k: int
    where: models.Filter | None
    group_by: str | None


class CollectionSearcher:
    """Searches one collection.

    The server's scores choose the points; the hits' own scores are computed here from the float16 tokens, by the
    functions of a local index. Where the server scores a compressed copy of the tokens, four times as many points
    are fetched and put in order by those scores.

    Args:
        collection: where; its location says how many candidates a query has.
        description: what the collection holds, at least one video's levels.
    """

    def __init__(self, collection: QdrantCollection, description: CollectionDescription) -> None:
        self._collection = collection
        self._description = description

    @torch.inference_mode()
    def search(self, queries: EncodedQueries, request: SearchRequest) -> list[list[SearchHit]]:
        """Finds the best videos for each query.

        Args:
            queries: Nq encoded queries.
            request: what is asked.

        Returns:
            For each query its hits, best first; of equal scores, by path and time.

        Raises:
            ValueError: a query has no token that counts.
        """
        results: list[list[SearchHit]] = []
        for first in range(0, len(queries.texts), QUERY_BATCH):
            rows = range(first, min(first + QUERY_BATCH, len(queries.texts)))
            points = best_points(self._collection, self._description, queries, rows, request)
            wanted = list(dict.fromkeys(point for best in points for point in best))
            stored = fetch_points(self._collection, self._description, wanted)
            for row, best in zip(rows, points, strict=True):
                # A video that was removed between the two requests is gone.
                found = [stored[point] for point in best if point in stored]
                results.append(self._hits(queries, row, found, request))
        return results

    def _hits(
        self,
        queries: EncodedQueries,
        row: int,
        stored: Sequence[tuple[IndexedVideo, dict[str, Tensor]]],
        request: SearchRequest,
    ) -> list[SearchHit]:
        if not stored:
            return []
        query = single_query(queries, row)
        bags = level_bags((tokens for _, tokens in stored), self._description)
        scores = score_bags(query, bags, dtype=torch.float64)
        hits = [
            SearchHit(
                rank=0,
                video=video.path,
                start=video.start or 0.0,
                end=video.duration if video.end is None else video.end,
                score=float(scores.scores[0, number]),
                level_scores=finite_scores({level: of_level[0, number] for level, of_level in scores.levels.items()}),
                # Moments are those of the frame level.
                moments=find_moments(query, 0, tokens["frame"], video.timestamps) if "frame" in tokens else (),
                ranges=find_ranges(query, 0, tokens["frame"], video.timestamps) if "frame" in tokens else (),
            )
            for number, (video, tokens) in enumerate(stored)
        ]
        best = sorted(hits, key=lambda hit: (-hit.score, hit.video, hit.start))[: request.top_k]
        return [
            dataclasses.replace(hit, rank=rank, is_gone=is_gone(hit.video)) for rank, hit in enumerate(best, start=1)
        ]


def best_points(
    collection: QdrantCollection,
    description: CollectionDescription,
    queries: EncodedQueries,
    rows: Sequence[int],
    request: SearchRequest,
) -> list[list[str]]:
    """The ids of the points that the server scores best for each of some queries, somewhat more than are asked for.

    Args:
        collection: where; its location says how many candidates a query has.
        description: what it holds.
        queries: Nq queries.
        rows: which of them.
        request: what is asked.
    """
    options = description.options
    if options.token_quantization:
        wanted = request.top_k * _RESCORED_HITS
    else:
        wanted = request.top_k + max(_SPARE_HITS, request.top_k // _SPARE_SHARE)
    candidates = max(collection.location.candidates, wanted)
    limit = min(candidates, wanted * _WINDOWS) if request.group_by else wanted
    best: dict[int, list[str]] = {}
    pending = list(rows)
    while pending:
        requests = [
            score_query(
                single_query(queries, row),
                dimensions=description.dimensions,
                candidates=candidates,
                limit=limit,
                where=request.where,
                group_by=request.group_by,
                rescore_pooled=options.quantization == "binary",
            )
            for row in pending
        ]
        responses = collection.client.query_batch_points(collection.name, requests)
        short = []
        for row, response in zip(pending, responses, strict=True):
            by_group: dict[str, str] = {}
            for point in response.points:
                key = (point.payload or {})[request.group_by] if request.group_by else point.id
                by_group.setdefault(str(key), str(point.id))
            best[row] = list(by_group.values())[:wanted]
            if len(best[row]) < wanted and len(response.points) == limit < candidates:
                short.append(row)
        pending, limit = short, candidates
    return [best[row] for row in rows]


def score_query(
    query: EncodedQueries,
    *,
    dimensions: Mapping[str, int],
    candidates: int,
    limit: int,
    where: models.Filter | None,
    group_by: str | None = "path",
    rescore_pooled: bool = False,
) -> models.QueryRequest:
    """One query for Qdrant's query interface.

    Each shard selects its own candidates. A branch and its twin select the same ones, except where a video is
    written between the two; such a video lacks one branch's score, as one does that has no tokens on a level, and
    that counts as 0.

    Args:
        query: one encoded query; its weights say which levels count.
        dimensions: numbers in a token, by level, of all levels that the collection holds, in its order.
        candidates: videos that each shard scores by their tokens.
        limit: hits.
        where: condition on the candidates, applied before they are cut.
        group_by: as of `SearchRequest`; the key comes with each hit.
        rescore_pooled: whether twice the candidates are chosen by the compressed pooled vectors and cut by the full
            ones, which is worth reading those only where the copy is coarse.

    Raises:
        ValueError: the query has no token that counts.
    """
    tokens = _counted_tokens(query)
    first = models.Prefetch(
        query=pool_queries(query, dimensions)[0].tolist(),
        using=POOLED,
        limit=candidates,
        filter=where,
        params=_candidate_search(rescore_pooled),
    )
    branches = [
        models.Prefetch(prefetch=first, query=of_level.tolist(), using=level_vector(level), limit=candidates)
        for level, of_level in tokens.items()
    ]
    terms: list[models.Expression] = [
        models.MultExpression(mult=[query.level_weights[level] / len(of_level), f"$score[{branch}]"])
        for branch, (level, of_level) in enumerate(tokens.items())
    ]
    missing = {f"$score[{branch}]": 0.0 for branch in range(len(tokens))}
    return models.QueryRequest(
        prefetch=branches,
        query=models.FormulaQuery(formula=models.SumExpression(sum=terms), defaults=missing),
        limit=limit,
        with_payload=[group_by] if group_by else False,
        with_vector=False,
    )


def _counted_tokens(query: EncodedQueries) -> dict[str, Tensor]:
    """The tokens that count, float32 [n, D] on the CPU, of each level whose weight is not 0 and that has some."""
    tokens = {}
    for level in counted_levels(query):
        bags = query.bags_of(level)
        counted = bags.embeds[0][bags.mask[0].bool()].float().cpu()
        if len(counted):
            tokens[level] = counted
    if not tokens:
        raise ValueError(f"query {query.texts[0]!r} has no token that counts")
    return tokens


def _candidate_search(rescore: bool) -> models.SearchParams:
    # Ignored by a collection whose pooled vectors have no compressed copy.
    return models.SearchParams(
        quantization=models.QuantizationSearchParams(rescore=rescore, oversampling=2.0 if rescore else None)
    )
