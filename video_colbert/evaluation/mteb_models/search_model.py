"""A model by mteb's `SearchProtocol`: a task's corpus becomes an index of this package, and its queries search it."""

from __future__ import annotations

import collections
import dataclasses
import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.evaluation.mteb_models.batch_size import checked_batch_size
from video_colbert.evaluation.mteb_models.task_rows import query_texts, source_digest, video_sources
from video_colbert.index.indexed_video import IndexedVideo
from video_colbert.index.opening import open_index

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb import TaskMetadata
    from mteb.models import ModelMeta

    from video_colbert.index.index import Index

logger = logging.getLogger(__name__)

# Videos that are stored in one commit.
_COMMIT_VIDEOS = 256
# Queries that are searched together: each holds the tokens of all its hits.
_SEARCHED_TOGETHER = 8


class VideoColBERTSearchModel:
    """A model that indexes a task's videos and searches them by its queries, for `mteb.evaluate`.

    Tokens are stored as float32 and every video is scored up to 20,000 of them, so the scores are those of
    `video_colbert.evaluation.evaluate`. A file that is in the corpus several times is encoded once, and all of its
    ids get its score. A video that cannot be decoded is found by no query, is logged, and is in `bad`.

    A class that also encoded (`EncoderProtocol`) would be searched with all the same, so the encoder is another class.

    Args:
        encoder: the model.
        meta: what mteb is told of it.
        index_dir: folder that keeps an index for each task, so that a second run encodes only what is new; None for
            indexes in memory.
        threads: decoding threads; by default one for each processor core, at most 8.

    Attributes:
        mteb_model_meta: as given, or as mteb sets it.
        bad: by task, the videos that could not be decoded, named by their ids.
        counted: by task, the numbers of queries and videos that were searched.
    """

    def __init__(
        self,
        encoder: VideoColBERTEncoder,
        meta: ModelMeta,
        *,
        index_dir: str | os.PathLike[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self.encoder = encoder
        self.mteb_model_meta = meta
        self.bad: dict[str, list[BadVideo]] = {}
        self.counted: dict[str, tuple[int, int]] = {}
        self._index_dir = None if index_dir is None else Path(index_dir)
        self._threads = threads
        self._index: Index | None = None
        self._ids_of_content: Mapping[str, list[str]] = {}

    def index(
        self,
        corpus: Dataset,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        encode_kwargs: Mapping[str, Any],
        num_proc: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Encodes the videos of a task and stores them.

        Args:
            corpus: rows of `id` and `video`.
            task_metadata: of the task.
            hf_split: its split.
            hf_subset: its subset.
            encode_kwargs: `batch_size` and `show_progress_bar`.
            num_proc: not used: decoding has its own threads.
            **kwargs: not used.

        Raises:
            ValueError: the task's documents are no videos, or `encode_kwargs` asks for what is not done.
            EncodingError: the model gives vectors that are not finite.
            IndexStoreError: the folder of indexes cannot be written, or holds another model's.
        """
        if "video" not in task_metadata.get_modalities(_document_type()):
            raise ValueError(
                f"{task_metadata.name} looks for {' and '.join(task_metadata.get_modalities(_document_type()))} and "
                "not for videos; evaluate it with mteb_model(name, as_encoder=True)"
            )
        batch_size = checked_batch_size(encode_kwargs)
        name = f"{task_metadata.name}-{hf_subset}-{hf_split}"
        location = "memory://" if self._index_dir is None else str(self._index_dir / name)
        if self._index is not None:
            self._index.close()
        self._index = open_index(location, self.encoder, windows="none", codec="float32")
        self.bad[task_metadata.name] = []
        stored = {video.digest for video in self._index.videos}
        ids: dict[str, list[str]] = collections.defaultdict(list)
        first_row: dict[str, int] = {}
        for row, (video_id, source) in enumerate(zip(corpus["id"], video_sources(corpus), strict=True)):
            try:
                digest = source_digest(source)
            except OSError as error:
                self._note_bad(task_metadata.name, [str(video_id)], error.strerror or str(error))
                continue
            ids[digest].append(str(video_id))
            first_row.setdefault(digest, row)
        self._ids_of_content = ids
        new = [digest for digest in first_row if digest not in stored]
        for start in range(0, len(new), _COMMIT_VIDEOS):
            part = new[start : start + _COMMIT_VIDEOS]
            sources = video_sources(corpus.select([first_row[digest] for digest in part]))
            encoded = self.encoder.encode_videos(map(VideoClip, sources), batch_size=batch_size, threads=self._threads)
            self._index.stored.add(self._good(encoded, part, task_metadata.name))

    def search(
        self,
        queries: Dataset,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        encode_kwargs: Mapping[str, Any],
        top_ranked: Mapping[str, Collection[str]] | None = None,
        num_proc: int | None = None,
        **kwargs: Any,
    ) -> dict[str, dict[str, float]]:
        """Searches the indexed videos.

        Args:
            queries: rows of `id` and `text`.
            task_metadata: of the task.
            hf_split: its split.
            hf_subset: its subset.
            top_k: videos for each query, at most.
            encode_kwargs: as of `index`.
            top_ranked: by query, the videos to rank, of a task that ranks what another search found.
            num_proc: not used.
            **kwargs: not used.

        Returns:
            By query, the score of each video found.

        Raises:
            ValueError: there is no index, or the queries are no texts.
            EncodingError: the model gives vectors that are not finite.
        """
        if self._index is None:
            raise ValueError("there is no index to search; call index first")
        texts, query_ids = query_texts(queries), [str(each) for each in queries["id"]]
        num_videos = sum(map(len, self._ids_of_content.values()))
        self.counted[task_metadata.name] = len(texts), num_videos
        if not len(self._index):
            return {query: {} for query in query_ids}
        encoded = self.encoder.encode_queries(texts, batch_size=checked_batch_size(encode_kwargs), phrases=False)
        # A kept index may hold videos that are in the corpus no more; a ranking of some needs all that are stored.
        others = sum(video.digest not in self._ids_of_content for video in self._index.videos)
        asked = len(self._index) if top_ranked is not None else min(top_k + others, len(self._index))
        results: dict[str, dict[str, float]] = {}
        for start in range(0, len(texts), _SEARCHED_TOGETHER):
            rows = range(start, min(start + _SEARCHED_TOGETHER, len(texts)))
            hits = self._index.stored.search(_without_words(encoded.select(rows)), top_k=asked, group_windows=False)
            for row, of_query in zip(rows, hits, strict=True):
                query = query_ids[row]
                scores = {
                    video: hit.score for hit in of_query for video in self._ids_of_content.get(_content(hit.video), ())
                }
                if top_ranked is not None:
                    allowed = set(top_ranked.get(query, ()))
                    scores = {video: score for video, score in scores.items() if video in allowed}
                results[query] = dict(list(scores.items())[:top_k])
        return results

    def _good(
        self, encoded: Iterable[EncodedVideo | BadVideo], digests: Sequence[str], task: str
    ) -> list[tuple[IndexedVideo, EncodedVideo]]:
        """What can be stored of encoded videos; the others are noted."""
        good = []
        for digest, video in zip(digests, encoded, strict=True):
            if isinstance(video, BadVideo):
                self._note_bad(task, self._ids_of_content[digest], video.reason)
                continue
            times = tuple(map(float, video.timestamps))
            # A path of its own for each content, by which hits are known again; the bytes may be in no file.
            good.append((IndexedVideo(f"mteb://{digest}", digest, video.duration, times), video))
        return good

    def _note_bad(self, task: str, ids: Collection[str], reason: str) -> None:
        for video in ids:
            logger.warning("%s: video %s cannot be decoded and is found by no query: %s", task, video, reason)
            self.bad[task].append(BadVideo(video, reason))


def _document_type() -> Any:
    from mteb.types import PromptType

    return PromptType.document


def _content(path: str) -> str:
    return path.rpartition("/")[2]


def _without_words(queries: EncodedQueries) -> EncodedQueries:
    """The same queries without their words, so that no moments are looked for in a thousand hits of each."""
    bags = {
        name: dataclasses.replace(each, words=[()] * len(queries.texts), phrase_embeds=None)
        for name, each in queries.bags.items()
    }
    return dataclasses.replace(queries, bags=bags)
