"""Searching a Qdrant collection: the server finds the best points, and their scores are computed here once more."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from qdrant_client import QdrantClient, models
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.hits import SearchHit, find_moments, find_ranges
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.qdrant.collection import CollectionDescription
from video_colbert.index.qdrant.location import QdrantLocation
from video_colbert.index.qdrant.points import LEVEL_VECTORS, from_payload
from video_colbert.index.qdrant.query import score_query
from video_colbert.index.search.rescoring import single_query
from video_colbert.index.search.scoring import score_bags, weights_of_levels
from video_colbert.index.search.token_bags import TokenBags

# Queries in one request, and points whose tokens one request brings back, some 100 KB each as text.
_QUERY_BATCH = 16
_POINT_BATCH = 200
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
        level_weights: weight of each level; None for 1 each.
        group_windows: whether a video shows up once, with its best window.
    """

    top_k: int
    where: models.Filter | None
    level_weights: Mapping[str, float] | None
    group_windows: bool


class CollectionSearcher:
    """Searches one collection.

    The server's scores choose the points; the hits' own scores are computed here from the float16 tokens, by the
    functions of a local index. Where the server scores a compressed copy of the tokens, four times as many points
    are fetched and put in order by those scores.

    Args:
        client: of the server.
        location: the collection, and how many candidates a query has.
        description: what the collection holds.
    """

    def __init__(self, client: QdrantClient, location: QdrantLocation, description: CollectionDescription) -> None:
        self._client = client
        self._location = location
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
            ValueError: the weights do not fit the model or are all 0, or a query has no token that counts.
        """
        weights = weights_of_levels(queries, request.level_weights)
        results: list[list[SearchHit]] = []
        for first in range(0, len(queries.texts), _QUERY_BATCH):
            rows = range(first, min(first + _QUERY_BATCH, len(queries.texts)))
            points = self._best_points(queries, rows, weights, request)
            stored = self._fetch(list(dict.fromkeys(point for best in points for point in best)))
            for row, best in zip(rows, points, strict=True):
                # A video that was removed between the two requests is gone.
                found = [stored[point] for point in best if point in stored]
                results.append(self._hits(queries, row, found, request))
        return results

    def _best_points(
        self, queries: EncodedQueries, rows: Sequence[int], weights: Mapping[str, float], request: SearchRequest
    ) -> list[list[str]]:
        """For each query the ids of the points that the server scored best, of each video one if wanted."""
        options = self._description.options
        if options.token_quantization:
            wanted = request.top_k * _RESCORED_HITS
        else:
            wanted = request.top_k + max(_SPARE_HITS, request.top_k // _SPARE_SHARE)
        candidates = max(self._location.candidates, wanted)
        limit = min(candidates, wanted * _WINDOWS) if request.group_windows else wanted
        best: dict[int, list[str]] = {}
        pending = list(rows)
        while pending:
            requests = [
                score_query(
                    counted_tokens(queries, row),
                    weights=weights,
                    levels=self._description.levels,
                    candidates=candidates,
                    limit=limit,
                    where=request.where,
                    rescore_pooled=options.quantization == "binary",
                )
                for row in pending
            ]
            responses = self._client.query_batch_points(self._location.collection, requests)
            short = []
            for row, response in zip(pending, responses, strict=True):
                by_video: dict[str, str] = {}
                for point in response.points:
                    key = (point.payload or {})["path"] if request.group_windows else point.id
                    by_video.setdefault(str(key), str(point.id))
                best[row] = list(by_video.values())[:wanted]
                if len(best[row]) < wanted and len(response.points) == limit < candidates:
                    short.append(row)
            pending, limit = short, candidates
        return [best[row] for row in rows]

    def _fetch(self, points: Sequence[str]) -> dict[str, tuple[IndexedVideo, dict[str, Tensor]]]:
        """What is stored of points: the video and its tokens, float16 [tokens, D] by level."""
        names = [LEVEL_VECTORS[level] for level in self._description.levels]
        stored = {}
        for first in range(0, len(points), _POINT_BATCH):
            page = points[first : first + _POINT_BATCH]
            for record in self._client.retrieve(self._location.collection, page, with_vectors=names):
                vectors: Any = record.vector
                stored[str(record.id)] = (
                    from_payload(record.payload, str(self._location)),
                    {level: torch.tensor(vectors[LEVEL_VECTORS[level]]).half() for level in self._description.levels},
                )
        return stored

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
        bags = {
            level: TokenBags.from_bags([tokens[level] for _, tokens in stored]) for level in self._description.levels
        }
        scores = score_bags(
            query, bags["frame"], bags.get("video"), level_weights=request.level_weights, dtype=torch.float64
        )
        levels = {"frame": scores.frame_scores, "video": scores.video_scores}
        hits = [
            SearchHit(
                rank=0,
                video=video.path,
                start=video.start or 0.0,
                end=video.duration if video.end is None else video.end,
                score=float(scores.scores[0, place]),
                level_scores={level: float(of[0, place]) for level, of in levels.items() if of is not None},
                moments=find_moments(query, 0, tokens["frame"], video.timestamps),
                ranges=find_ranges(query, 0, tokens["frame"], video.timestamps),
            )
            for place, (video, tokens) in enumerate(stored)
        ]
        best = sorted(hits, key=lambda hit: (-hit.score, hit.video, hit.start))[: request.top_k]
        return [dataclasses.replace(hit, rank=rank) for rank, hit in enumerate(best, start=1)]


def counted_tokens(queries: EncodedQueries, row: int) -> Tensor:
    """The tokens of one query that count, float32 [n, D] on the CPU.

    Raises:
        ValueError: there is none.
    """
    tokens = queries.query_embeds[row][queries.query_mask[row].bool()].float().cpu()
    if len(tokens) == 0:
        raise ValueError(f"query {queries.texts[row]!r} has no token that counts")
    return tokens
