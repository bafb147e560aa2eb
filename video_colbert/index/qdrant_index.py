"""An index in a Qdrant collection, for what one machine does not hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from qdrant_client import QdrantClient, models
from torch import Tensor

from modeling_video_colbert import mean_max_sim
from video_colbert.encoded import EncodedQueries, EncodedVideo
from video_colbert.errors import IndexStoreError
from video_colbert.index.index_files import IndexedVideo
from video_colbert.index.qdrant_collection import (
    CollectionDescription,
    check_same_model,
    check_same_shape,
    check_server,
    connect,
    create_collection,
    read_description,
)
from video_colbert.index.qdrant_errors import clear_errors
from video_colbert.index.qdrant_location import QdrantLocation, parse_qdrant_uri
from video_colbert.index.qdrant_points import LEVEL_VECTORS, from_payload, point_id
from video_colbert.index.qdrant_query import score_query
from video_colbert.index.qdrant_upload import stored_points, upload_videos
from video_colbert.index.search import SearchHit, find_moments
from video_colbert.pretrained import ModelReference

# Records or operations in one request.
_PAGE = 500
# Queries in one request; each brings back a hit's tokens, some 100 KB as text.
_QUERY_BATCH = 16
# Hits a video wanted whose exact score is computed here where the server scored compressed tokens.
_RESCORED_HITS = 4
# Windows a video that a first query asks for; a query that finds too few videos asks for every candidate.
_WINDOWS = 4


class QdrantIndex:
    """A searchable collection of encoded videos on a Qdrant server or cluster.

    The tokens are float16 there, as in a local index, and the score of each hit is computed from them by the same
    functions, so both give the same scores. Which videos are scored is decided by their pooled vectors: each shard
    takes the `candidates` nearest ones.

    Attributes:
        location: the collection.
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.

    Example:
        index = QdrantIndex.open("qdrant://host:6333/videos", model=encoder.reference)
        hits = index.search(encoder.encode_queries(["a dog catches a ball"]), top_k=5)[0]
    """

    def __init__(
        self,
        client: QdrantClient,
        location: QdrantLocation,
        model: ModelReference,
        num_frames: int | None,
        description: CollectionDescription | None,
    ) -> None:
        self.location = location
        self.model = model
        self.num_frames = num_frames
        self._client = client
        self._description = description

    @staticmethod
    def exists(uri: str, *, client: QdrantClient | None = None) -> bool:
        """Whether there is a collection of this name.

        Raises:
            IndexStoreError: the address is not valid, or the server cannot be reached.
        """
        location = parse_qdrant_uri(uri)
        with clear_errors(str(location)):
            return (client or connect(location)).collection_exists(location.collection)

    @classmethod
    def create(
        cls, uri: str, *, model: ModelReference, num_frames: int | None, client: QdrantClient | None = None
    ) -> QdrantIndex:
        """Prepares an index; its collection is made when the first videos are added, which tell the size of a token.

        Args:
            uri: `qdrant://host:6333/collection`, with options as `parse_qdrant_uri`.
            model: which weights will make the vectors.
            num_frames: frames that will be sampled from each video; None for as many as there are.
            client: a client to use in place of one made from the address.

        Raises:
            IndexStoreError: there is a collection of that name, or the server cannot be reached or is too old.
        """
        location = parse_qdrant_uri(uri)
        client = client or connect(location)
        with clear_errors(str(location)):
            check_server(client, location)
            if client.collection_exists(location.collection):
                raise IndexStoreError(f"there is a collection at {location} already; open it or choose another name")
        return cls(client, location, model, num_frames, None)

    @classmethod
    def open(cls, uri: str, *, model: ModelReference | None = None, client: QdrantClient | None = None) -> QdrantIndex:
        """Opens an index.

        Args:
            uri: `qdrant://host:6333/collection`, with options as `parse_qdrant_uri`.
            model: the model that will be used with it, checked against the one that made it.
            client: a client to use in place of one made from the address.

        Raises:
            ModelMismatchError: it was made by another model or another revision.
            IndexStoreError: there is no such collection, it is not an index of this release, it has other options
                than the address names, or the server cannot be reached or is too old.
        """
        location = parse_qdrant_uri(uri)
        client = client or connect(location)
        with clear_errors(str(location)):
            check_server(client, location)
            description = read_description(client, location)
        index = cls(client, location, description.model, description.num_frames, description)
        if model is not None:
            index.check_model(model)
        return index

    def __len__(self) -> int:
        if self._description is None:
            return 0
        with self._clear_errors():
            return self._client.count(self.location.collection, exact=True).count

    @property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """What is stored, by point id; reads the whole list from the server each time."""
        return tuple(from_payload(record.payload, str(self.location)) for record in self._scroll(None, True))

    def check_model(self, model: ModelReference) -> None:
        """Checks that vectors of this model can be compared with those stored.

        Raises:
            ModelMismatchError: the index was made by another model or another revision.
        """
        check_same_model(self.location, self.model, model)

    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> None:
        """Adds videos; interrupted and run again, it goes on where it stopped.

        What is there already (same content and window) is left; another content at a known path and window takes
        the old one's place.

        Args:
            videos: what to know of each video, and its tokens.

        Raises:
            ModelMismatchError: the tokens have another size or other levels than those stored.
            IndexStoreError: the server cannot be reached, or refuses them; what was uploaded stays.
        """
        new = list({video.id: (video, encoded) for video, encoded in videos}.values())
        if not new:
            return
        with self._clear_errors():
            description = self._ensure_collection(new[0][1])
            for _, encoded in new:
                check_same_shape(self.location, description, encoded.frame_embeds.shape[1], _levels(encoded))
            upload_videos(self._client, self.location, new)
            self._remove_replaced([video for video, _ in new])

    def move(self, paths: Mapping[str, str]) -> None:
        """Records new paths of files that were moved or renamed.

        Args:
            paths: id of a stored video to the absolute path it has now; ids that are not stored are ignored.

        Raises:
            IndexStoreError: the server cannot be reached or refuses it.
        """
        if self._description is None or not paths:
            return
        by_point = {point_id(video_id): path for video_id, path in paths.items()}
        with self._clear_errors():
            there = sorted(stored_points(self._client, self.location, list(by_point)))
            operations = [
                models.SetPayloadOperation(
                    set_payload=models.SetPayload(payload={"path": by_point[point]}, points=[point])
                )
                for point in there
            ]
            for first in range(0, len(operations), _PAGE):
                self._client.batch_update_points(self.location.collection, operations[first : first + _PAGE])

    def remove(self, ids: Collection[str]) -> int:
        """Removes videos.

        Args:
            ids: ids of videos.

        Returns:
            How many of them were there.

        Raises:
            IndexStoreError: the server cannot be reached or refuses it.
        """
        if self._description is None:
            return 0
        with self._clear_errors():
            there = sorted(stored_points(self._client, self.location, [point_id(video_id) for video_id in ids]))
            self._delete(there)
        return len(there)

    @torch.inference_mode()
    def search(
        self,
        queries: EncodedQueries,
        *,
        top_k: int = 10,
        level_weights: Mapping[str, float] | None = None,
        group_windows: bool = True,
    ) -> list[list[SearchHit]]:
        """Finds the best videos for each query.

        Args:
            queries: from the encoder of the model that made this index.
            top_k: hits a query, at most.
            level_weights: weight of each level in the score; 1 for each that the model sums, by default.
            group_windows: whether a video shows up once, with its best window.

        Returns:
            For each query its hits, best first.

        Raises:
            ValueError: `top_k` is below 1, a weight is of no level, or a query has no token that counts.
            ModelMismatchError: the queries' tokens have another size than those stored.
            IndexStoreError: the server cannot be reached or refuses the query.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        if self._description is None:
            return [[] for _ in queries.texts]
        check_same_shape(self.location, self._description, queries.query_embeds.shape[-1], queries.score_levels)
        weights = self._weights(queries, level_weights)
        results: list[list[SearchHit]] = []
        with self._clear_errors():
            for first in range(0, len(queries.texts), _QUERY_BATCH):
                rows = range(first, min(first + _QUERY_BATCH, len(queries.texts)))
                points = self._best_points(queries, rows, weights, top_k, group_windows)
                results += self._hits(queries, rows, points, weights, top_k)
        return results

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _best_points(
        self,
        queries: EncodedQueries,
        rows: Sequence[int],
        weights: Mapping[str, float],
        top_k: int,
        group_windows: bool,
    ) -> list[list[str]]:
        """For each query the ids of the points that the server scored best, of each video one if wanted."""
        assert self._description is not None  # noqa: S101 - callers return early
        wanted = top_k * (_RESCORED_HITS if self._description.options.token_quantization else 1)
        candidates = max(self.location.candidates, wanted)
        best: dict[int, list[str]] = {}
        limit = min(candidates, wanted * _WINDOWS) if group_windows else wanted
        pending = list(rows)
        while pending:
            requests = [
                score_query(
                    _counted_tokens(queries, row),
                    weights=weights,
                    levels=self._description.levels,
                    candidates=candidates,
                    limit=limit,
                    where=None,
                )
                for row in pending
            ]
            responses = self._client.query_batch_points(self.location.collection, requests)
            short = []
            for row, response in zip(pending, responses, strict=True):
                by_video: dict[str, str] = {}
                for point in response.points:
                    key = (point.payload or {}).get("path") if group_windows else None
                    by_video.setdefault(str(point.id) if key is None else str(key), str(point.id))
                best[row] = list(by_video.values())[:wanted]
                if len(best[row]) < wanted and len(response.points) == limit < candidates:
                    short.append(row)
            pending, limit = short, candidates
        return [best[row] for row in rows]

    def _hits(
        self,
        queries: EncodedQueries,
        rows: Sequence[int],
        points: Sequence[Sequence[str]],
        weights: Mapping[str, float],
        top_k: int,
    ) -> list[list[SearchHit]]:
        """Hits with scores computed here from the stored tokens."""
        assert self._description is not None  # noqa: S101 - callers return early
        names = [LEVEL_VECTORS[level] for level in self._description.levels]
        unique = list(dict.fromkeys(point for best in points for point in best))
        records: dict[str, models.Record] = {}
        for first in range(0, len(unique), _PAGE):
            page = unique[first : first + _PAGE]
            for record in self._client.retrieve(self.location.collection, page, with_vectors=names):
                records[str(record.id)] = record
        results = []
        for row, best in zip(rows, points, strict=True):
            # A video that was removed between the two requests is gone.
            hits = [self._hit(queries, row, records[point], weights) for point in best if point in records]
            hits.sort(key=lambda hit: (-hit.score, hit.video, hit.start))
            results.append(hits[:top_k])
        return results

    def _hit(
        self, queries: EncodedQueries, row: int, record: models.Record, weights: Mapping[str, float]
    ) -> SearchHit:
        assert self._description is not None  # noqa: S101 - callers return early
        video = from_payload(record.payload, str(self.location))
        vectors: Any = record.vector
        query = _counted_tokens(queries, row)[None]
        scores, bags = {}, {}
        for level in self._description.levels:
            bags[level] = torch.tensor(vectors[LEVEL_VECTORS[level]]).half()
            scores[level] = float(mean_max_sim(query, bags[level].float()[None]))
        return SearchHit(
            video=video.path,
            start=video.start or 0.0,
            end=video.duration if video.end is None else video.end,
            score=sum(weights[level] * scores[level] for level in weights),
            frame_score=scores["frame"],
            video_score=scores.get("video"),
            moments=find_moments(queries, row, bags["frame"], video.timestamps),
        )

    def _weights(self, queries: EncodedQueries, given: Mapping[str, float] | None) -> dict[str, float]:
        assert self._description is not None  # noqa: S101 - callers return early
        if given is None:
            return dict.fromkeys(queries.score_levels, 1.0)
        if unknown := sorted(set(given) - set(self._description.levels)):
            raise ValueError(f"there is no level {unknown[0]!r}; there are {', '.join(self._description.levels)}")
        if not any(given.values()):
            raise ValueError("at least one level needs a weight other than 0")
        return {level: float(weight) for level, weight in given.items()}

    def _ensure_collection(self, encoded: EncodedVideo) -> CollectionDescription:
        if self._description is None:
            description = CollectionDescription(
                model=self.model,
                num_frames=self.num_frames,
                levels=_levels(encoded),
                dim=encoded.frame_embeds.shape[1],
                options=self.location.options,
            )
            if self._client.collection_exists(self.location.collection):
                # Another process made it meanwhile.
                self._description = read_description(self._client, self.location)
                check_same_model(self.location, self._description.model, self.model)
            else:
                create_collection(self._client, self.location, description)
                self._description = description
        return self._description

    def _remove_replaced(self, videos: Sequence[IndexedVideo]) -> None:
        """Removes other contents at these paths and windows, of videos that are stored under these very paths."""
        ids = {(video.path, video.start, video.end): video.id for video in videos}
        paths = sorted({video.path for video in videos})
        for first in range(0, len(paths), _PAGE):
            match = models.MatchAny(any=paths[first : first + _PAGE])
            where = models.Filter(must=[models.FieldCondition(key="path", match=match)])
            stored: dict[tuple[str, float | None, float | None], list[str]] = {}
            for record in self._scroll(where, ["id", "path", "start", "end"]):
                row = record.payload or {}
                stored.setdefault((row["path"], row["start"], row["end"]), []).append(row["id"])
            self._delete(
                [
                    point_id(other)
                    for place, others in stored.items()
                    if ids.get(place) in others
                    for other in others
                    if other != ids[place]
                ]
            )

    def _delete(self, points: Sequence[str]) -> None:
        for first in range(0, len(points), _PAGE):
            self._client.delete(
                self.location.collection, models.PointIdsList(points=list(points[first : first + _PAGE]))
            )

    def _scroll(self, where: models.Filter | None, payload: bool | list[str]) -> Iterator[models.Record]:
        if self._description is None:
            return
        offset: Any = None
        while True:
            with self._clear_errors():
                records, offset = self._client.scroll(
                    self.location.collection, scroll_filter=where, limit=_PAGE, offset=offset, with_payload=payload
                )
            yield from records
            if offset is None:
                return

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        with clear_errors(str(self.location)):
            yield


def _levels(encoded: EncodedVideo) -> tuple[str, ...]:
    return ("frame",) if encoded.video_embeds is None else ("frame", "video")


def _counted_tokens(queries: EncodedQueries, row: int) -> Tensor:
    """The tokens of one query that count, float32 [n, D] on the CPU."""
    tokens = queries.query_embeds[row][queries.query_mask[row].bool()].float().cpu()
    if len(tokens) == 0:
        raise ValueError(f"query {queries.texts[row]!r} has no token that counts")
    return tokens
