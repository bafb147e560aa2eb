"""The gallery and the queries of a split of a data set, encoded, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.level_scores import PaddedLevel, level_scores, pad_levels
from video_colbert.encoding.passage_columns import passages_of
from video_colbert.evaluation.embedding_cache import EmbeddingCache
from video_colbert.progress import progress_bar

Row = Mapping[str, Any]
"""A row of a data set: `video_id`, `video`, `captions`, `start`, `end`."""


@dataclass(frozen=True)
class EncodedSplit:
    """The gallery and the queries of a split.

    Attributes:
        video_ids: of the gallery, in its order.
        levels: the gallery's tokens by level.
        queries: the captions of the videos in the gallery.
        positives: [num_queries] row in the gallery of each query's video.
        bad: videos that did not decode.
        num_expected_videos: rows of the split.
    """

    video_ids: list[str]
    levels: Mapping[str, PaddedLevel]
    queries: EncodedQueries
    positives: list[int]
    bad: list[BadVideo]
    num_expected_videos: int

    def level_scores(self, rows: slice | Tensor = slice(None), columns: slice = slice(None)) -> dict[str, Tensor]:
        """Scores queries against the gallery on each level that the model has, and their sum.

        Args:
            rows: which queries.
            columns: which videos of the gallery.

        Returns:
            [queries, videos] scores by level, and "sum" over the levels that count, times their weights; on the
            device that holds the queries, which is the encoder's.
        """
        return level_scores(self.queries, self.levels, rows, columns)


def encode_rows(
    encoder: VideoColBERTEncoder,
    rows: Sequence[Row],
    *,
    batch_size: int = 32,
    threads: int | None = None,
    progress: bool = False,
    cache: EmbeddingCache | None = None,
) -> list[EncodedVideo | BadVideo]:
    """Encodes the videos of rows, one result a row; a row without a file gives a `BadVideo`.

    Args:
        encoder: what encodes.
        rows: the rows.
        batch_size: videos that go through the model together.
        threads: decoding threads.
        progress: whether to show a progress bar, where there is a terminal.
        cache: where to look for embeddings first, and to put new ones; what is no file is encoded every time.

    Raises:
        EncodingError: the cache cannot be written, or the model gives vectors that are not finite.
    """
    results: list[EncodedVideo | BadVideo | None] = []
    new: list[tuple[int, VideoClip, Path | None]] = []
    for number, row in enumerate(
        progress_bar(rows, desc="cache", unit="video", is_shown=cache is not None and progress)
    ):
        if row["video"] is None:
            results.append(BadVideo(row["video_id"], "the file is missing"))
            continue
        passages = passages_of(row, encoder.model.config.passage_levels)
        clip = VideoClip(row["video"], start=row["start"], end=row["end"], passages=passages)
        path = None if cache is None else cache.video_path(clip)
        results.append(None if cache is None else cache.read_video(path, clip))
        if results[-1] is None:
            new.append((number, clip, path))
    encoded = encoder.encode_videos((clip for _, clip, _ in new), batch_size=batch_size, threads=threads)
    bar = progress_bar(encoded, total=len(new), desc="videos", unit="video", is_shown=progress)
    for (number, _, path), video in zip(new, bar, strict=True):
        results[number] = video
        if cache is not None and path is not None and isinstance(video, EncodedVideo):
            cache.write_video(path, video)
    return [video for video in results if video is not None]


def encode_split(
    encoder: VideoColBERTEncoder,
    rows: Sequence[Row],
    *,
    videos: Sequence[EncodedVideo | BadVideo] | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    cache: EmbeddingCache | None = None,
) -> EncodedSplit:
    """Encodes a split; videos that are missing or do not decode are left out of the gallery, with their captions.

    Args:
        encoder: what encodes.
        rows: the split.
        videos: what `encode_rows` returned for these rows, if they are encoded already.
        batch_size: videos, or captions, that go through the model together.
        threads: decoding threads.
        cache: as `encode_rows` takes it; it keeps the captions' embeddings too.

    Raises:
        ValueError: no video could be encoded, or the gallery has no caption.
    """
    if videos is None:
        videos = encode_rows(encoder, rows, batch_size=batch_size, threads=threads, cache=cache)
    bad = [
        BadVideo(row["video_id"], video.reason)
        for row, video in zip(rows, videos, strict=True)
        if isinstance(video, BadVideo)
    ]
    good = [(row, video) for row, video in zip(rows, videos, strict=True) if isinstance(video, EncodedVideo)]
    captions = [(number, text) for number, (row, _) in enumerate(good) for text in row["captions"]]
    if not captions:
        reasons = f"; the first bad one is {bad[0].source}: {bad[0].reason}" if bad else ", and none has a caption"
        raise ValueError(f"there is nothing to evaluate: of {len(rows)} videos, {len(good)} were encoded{reasons}")
    texts = [text for _, text in captions]
    if cache is None:
        queries = encoder.encode_queries(texts, batch_size=batch_size, phrases=False)
    else:
        queries = cache.encode_queries(texts, batch_size=batch_size)
    return EncodedSplit(
        video_ids=[row["video_id"] for row, _ in good],
        levels=pad_levels([video for _, video in good]),
        queries=queries,
        positives=[number for number, _ in captions],
        bad=bad,
        num_expected_videos=len(rows),
    )
