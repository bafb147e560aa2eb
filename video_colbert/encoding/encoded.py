"""Clips to encode, and what encoding makes of clips and queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from video_colbert.processing import QueryWord, VideoSource


@dataclass(frozen=True)
class VideoClip:
    """A video, or a window of one.

    Attributes:
        source: a path, URL, bytes or whatever else the processor decodes.
        start: where the window starts, in seconds, included; None for the video's start.
        end: where it ends, in seconds, excluded; None for the video's end.
    """

    source: VideoSource
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class EncodedVideo:
    """The token bags of a clip.

    Attributes:
        clip: what was encoded.
        duration: of the whole video, in seconds.
        timestamps: float64 [T], seconds from the start of the video at which each frame appears.
        frame_embeds: float32 [T, D] frame tokens on the CPU, each of unit length; [1, D] for a model that makes
            one vector of a level.
        video_embeds: float32 [V, D] video tokens on the CPU; None for a model without the video level.
        frame_weights: float32 [T] weights of the frame tokens, for a model that scores by them.
        video_weights: float32 [V] weights of the video tokens, likewise.
    """

    clip: VideoClip
    duration: float
    timestamps: npt.NDArray[np.float64]
    frame_embeds: Tensor
    video_embeds: Tensor | None
    frame_weights: Tensor | None = None
    video_weights: Tensor | None = None


@dataclass(frozen=True)
class BadVideo:
    """A video that could not be encoded.

    Attributes:
        source: its path or URL.
        reason: what is wrong with it.
    """

    source: str
    reason: str


@dataclass(frozen=True)
class EncodedQueries:
    """The token bags of queries, ready to be searched with.

    Attributes:
        texts: the queries, Nq of them.
        query_embeds: float32 [Nq, Lq, D] query tokens on the model's device, each of unit length.
        query_mask: bool [Nq, Lq], true on the tokens that count.
        words: for each query its words and where their tokens stand among the Lq; the whole query as one word
            where the model makes one pooled vector of it.
        score_levels: the levels, "frame" and "video", that the model's score sums.
        truncated: indices of the queries that were longer than the text tower holds and were cut.
        interaction: how the model scores, as `interaction` of its configuration.
        query_weights: float32 [Nq, Lq] weights of the query tokens, for a model that scores by them.
    """

    texts: list[str]
    query_embeds: Tensor
    query_mask: Tensor
    words: list[list[QueryWord]]
    score_levels: tuple[str, ...]
    truncated: list[int]
    interaction: str = "mean_max_sim"
    query_weights: Tensor | None = None
