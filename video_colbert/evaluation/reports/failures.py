"""The queries that a model does worst on, with what it matched in the right video and in the one it preferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from video_colbert.encoding.display import picture_uri
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.hits import Moment, find_moments
from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.query_metrics import query_metrics
from video_colbert.evaluation.rank_counts import RankCounts
from video_colbert.processing import VideoDecodingError
from video_colbert.processing.video_sources import source_name


@dataclass(frozen=True)
class MatchedVideo:
    """A video, and where the words of a query matched it.

    Attributes:
        video_id: id in the data set.
        source: its file.
        score: summed score with the query.
        moments: each word's frame.
        thumbnails: JPEG data URI of each matched frame, by its time in seconds with three digits.
        note: why there are no thumbnails, else empty.
    """

    video_id: str
    source: str
    score: float
    moments: tuple[Moment, ...]
    thumbnails: dict[str, str]
    note: str


@dataclass(frozen=True)
class Failure:
    """A query whose own video was ranked low.

    Attributes:
        text: the query.
        rank: expected rank of its own video.
        right: its own video.
        preferred: the best of the other videos; None in a gallery of one.
    """

    text: str
    rank: float
    right: MatchedVideo
    preferred: MatchedVideo | None

    def as_dict(self) -> dict[str, Any]:
        """The fields, in types that JSON has."""
        return asdict(self)


def worst_failures(
    encoder: VideoColBERTEncoder,
    split: EncodedSplit,
    videos: Sequence[EncodedVideo],
    counts: RankCounts,
    *,
    number: int = 10,
) -> list[Failure]:
    """Finds the queries with the lowest ranked videos, the worst first; none that found its video first.

    Args:
        encoder: whose settings say which frames were encoded; only these few videos are decoded again.
        split: what was evaluated.
        videos: the gallery in its order, as encoded.
        counts: text-to-video rank counts of the summed score.
        number: how many at most.
    """
    ranks = query_metrics(counts).ranks
    failures = []
    for query in np.argsort(-ranks, kind="stable")[:number].tolist():
        if ranks[query] <= 1:
            break
        right = split.positives[query]
        scores = split.level_scores(slice(query, query + 1))["sum"][0].double()
        others = scores.clone()
        others[right] = float("-inf")
        preferred = int(others.argmax())
        failures.append(
            Failure(
                text=split.queries.texts[query],
                rank=float(ranks[query]),
                right=_matched(encoder, split, videos, query, right, float(scores[right])),
                preferred=None
                if preferred == right
                else _matched(encoder, split, videos, query, preferred, float(scores[preferred])),
            )
        )
    return failures


def _matched(
    encoder: VideoColBERTEncoder,
    split: EncodedSplit,
    videos: Sequence[EncodedVideo],
    query: int,
    row: int,
    score: float,
) -> MatchedVideo:
    video = videos[row]
    moments = find_moments(split.queries, query, video.embeds["frame"], tuple(video.timestamps.tolist()))
    thumbnails: dict[str, str] = {}
    note = ""
    try:
        thumbnails = _thumbnails(encoder, video, {moment.time for moment in moments})
    except (VideoDecodingError, OSError) as error:
        note = f"no pictures: {error}"
    return MatchedVideo(split.video_ids[row], source_name(video.clip.source), score, moments, thumbnails, note)


def _thumbnails(encoder: VideoColBERTEncoder, video: EncodedVideo, times: set[float]) -> dict[str, str]:
    decoding = encoder.processor.video_processor.decoding
    decoded = decoding.decode(video.clip.source, start=video.clip.start, end=video.clip.end)
    return {
        f"{time:.3f}": picture_uri(frame)
        for frame, time in zip(decoded.frames, decoded.timestamps.tolist(), strict=True)
        if time in times
    }
