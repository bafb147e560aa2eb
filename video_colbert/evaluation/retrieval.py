"""Retrieval on a split of a data set: metrics of each level, in both directions, with what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from video_colbert.encoding.encoded import BadVideo, EncodedQueries, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.level_scores import PaddedLevel, level_scores, pad_levels
from video_colbert.evaluation.confidence import Interval, bootstrap_intervals
from video_colbert.evaluation.dual_softmax import DEFAULT_SCALE, DUAL_SOFTMAX
from video_colbert.evaluation.embedding_cache import EmbeddingCache
from video_colbert.evaluation.metrics import Ties, metrics_from_counts
from video_colbert.evaluation.rank_counts import RankCounts
from video_colbert.evaluation.two_way_ranks import TwoWayCounts, two_way_rank_counts
from video_colbert.progress import progress_bar

Row = Mapping[str, Any]
"""A row of a data set: `video_id`, `video`, `captions`, `start`, `end`."""


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of one level in one direction.

    Attributes:
        dataset: name of the data set.
        protocol: name of its protocol; None for the set's own.
        split: name of the split.
        num_videos: videos in the gallery.
        num_expected_videos: videos that the split has, those that are missing or do not decode included.
        num_queries: captions that were searched for.
        level: "frame", "video" or "sum".
        direction: "text_to_video" or "video_to_text".
        metrics: R@1, R@5 and R@10 in percent, MdR and MnR in ranks, MRR from 0 to 1.
        truncated_queries: captions that were cut since the text tower does not hold them.
        selection: how the checkpoint was chosen.
        ties: how tied scores were ranked; "expected" is the expectation over random tie-breaking.
        reweighting: "dual_softmax" if each query's scores depend on all the other queries; None for plain scores.
        confidence_intervals: 95 % bootstrap interval of each metric, if they were computed.
        level_weights: how much each level counts in the sum, if not all count 1.
    """

    dataset: str
    protocol: str | None
    split: str
    num_videos: int
    num_expected_videos: int
    num_queries: int
    level: str
    direction: str
    metrics: dict[str, float]
    truncated_queries: int
    selection: str | None = None
    ties: str = "expected"
    reweighting: str | None = None
    confidence_intervals: dict[str, Interval] | None = None
    level_weights: dict[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields, in types that JSON has."""
        return asdict(self)


@dataclass(frozen=True)
class EncodedSplit:
    """The gallery and the queries of a split.

    Attributes:
        video_ids: of the gallery, in its order.
        levels: the gallery's tokens by level.
        queries: the captions of the videos in the gallery.
        positives: [num_queries] place in the gallery of each query's video.
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
            [queries, videos] scores by level, and "sum" over the levels that count, times their weights.
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
    for place, row in enumerate(
        progress_bar(rows, desc="cache", unit="video", is_shown=cache is not None and progress)
    ):
        if row["video"] is None:
            results.append(BadVideo(row["video_id"], "the file is missing"))
            continue
        clip = VideoClip(row["video"], start=row["start"], end=row["end"])
        path = None if cache is None else cache.video_path(clip)
        results.append(None if cache is None else cache.read_video(path, clip))
        if results[-1] is None:
            new.append((place, clip, path))
    encoded = encoder.encode_videos((clip for _, clip, _ in new), batch_size=batch_size, threads=threads)
    bar = progress_bar(encoded, total=len(new), desc="videos", unit="video", is_shown=progress)
    for (place, _, path), video in zip(new, bar, strict=True):
        results[place] = video
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
    captions = [(place, text) for place, (row, _) in enumerate(good) for text in row["captions"]]
    if not captions:
        reasons = f"; the first bad one is {bad[0].source}: {bad[0].reason}" if bad else ", and none has a caption"
        raise ValueError(f"there is nothing to evaluate: of {len(rows)} videos, {len(good)} were encoded{reasons}")
    return EncodedSplit(
        video_ids=[row["video_id"] for row, _ in good],
        levels=pad_levels([video for _, video in good]),
        queries=(encoder if cache is None else cache).encode_queries(
            [text for _, text in captions], batch_size=batch_size
        ),
        positives=[place for place, _ in captions],
        bad=bad,
        num_expected_videos=len(rows),
    )


@torch.inference_mode()
def rank_split(
    split: EncodedSplit, *, dual_softmax: bool = False, with_distribution: bool = False, progress: bool = False
) -> dict[str, TwoWayCounts]:
    """Counts the ranks of every level in both directions; no score matrix is held.

    Args:
        split: what `encode_split` returned.
        dual_softmax: whether to re-weight the scores by all queries (`evaluation.dual_softmax`).
        with_distribution: whether to count the scores' histograms too.
        progress: whether to show a progress bar, where there is a terminal.

    Returns:
        The counts by level: "frame", "video" if there is one, and "sum".
    """
    return two_way_rank_counts(
        split.level_scores,
        split.positives,
        len(split.video_ids),
        dual_softmax_scale=DEFAULT_SCALE if dual_softmax else None,
        with_distribution=with_distribution,
        progress=progress,
    )


def evaluate_split(
    split: EncodedSplit,
    *,
    dataset: str,
    split_name: str,
    protocol: str | None = None,
    selection: str | None = None,
    ties: Ties = "expected",
    dual_softmax: bool = False,
    ranks: dict[str, TwoWayCounts] | None = None,
    confidence_intervals: bool = False,
) -> list[EvaluationResult]:
    """Computes the metrics of every level in both directions.

    Args:
        split: what `encode_split` returned.
        dataset: name of the data set.
        split_name: name of the split.
        protocol: name of the protocol.
        selection: how the checkpoint was chosen.
        ties: how tied scores are ranked.
        dual_softmax: whether to re-weight the scores by all queries; the results say so.
        ranks: what `rank_split` returned for this split with the same `dual_softmax`, if it is there already.
        confidence_intervals: whether to compute bootstrap intervals, over videos with all their captions. They are
            of the expectation over random tie-breaking, so only with `ties="expected"`.

    Raises:
        ValueError: intervals were asked for with another way to rank ties, or the way does not fit the captions.
    """
    if confidence_intervals and ties != "expected":
        raise ValueError(f"confidence intervals are computed with ties='expected', not {ties!r}")
    if ranks is None:
        ranks = rank_split(split, dual_softmax=dual_softmax)
    weights = dict(split.queries.level_weights)
    results = []
    for level, counts in ranks.items():
        directions: dict[str, tuple[RankCounts, Ties]] = {
            "text_to_video": (counts.text_to_video, ties),
            "video_to_text": (counts.video_to_text, ties),
        }
        if ties == "clip4clip_multi_sentence":
            directions["video_to_text"] = counts.video_to_text_sets, "clip4clip"
        for direction, (of_direction, rule) in directions.items():
            intervals = None
            if confidence_intervals:
                clusters = split.positives if direction == "text_to_video" else counts.asking
                intervals = bootstrap_intervals(of_direction, clusters=clusters)
            results.append(
                EvaluationResult(
                    dataset=dataset,
                    protocol=protocol,
                    split=split_name,
                    num_videos=len(split.video_ids),
                    num_expected_videos=split.num_expected_videos,
                    num_queries=len(split.positives),
                    level=level,
                    direction=direction,
                    metrics=metrics_from_counts(of_direction, ties=rule).as_dict(),
                    truncated_queries=len(split.queries.truncated),
                    selection=selection,
                    ties=ties,
                    reweighting=DUAL_SOFTMAX if dual_softmax else None,
                    confidence_intervals=intervals,
                    level_weights=None if set(weights.values()) == {1.0} else weights,
                )
            )
    return results
