"""Exact two-level search over stored token bags, and what a hit tells about why it matched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modeling_video_colbert import mean_max_sim
from video_colbert.encoded import EncodedQueries
from video_colbert.errors import IndexStoreError
from video_colbert.index.token_bags import TokenBags

# Bytes of float32 tokens that are unpacked at once.
_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Moment:
    """Where in a video one word of the query matched best.

    Attributes:
        word: the word; the whole query for a model that makes one pooled vector of it.
        time: when the frame appears, in seconds from the start of the video.
        similarity: similarity of the word to that frame, summed over the tokens of the word.
    """

    word: str
    time: float
    similarity: float


@dataclass(frozen=True)
class SearchHit:
    """One video, or window of a video, found by a query.

    Attributes:
        video: path of the file.
        start: where the window starts, in seconds.
        end: where it ends, in seconds.
        score: sum of the levels that the model scores by.
        frame_score: MeanMaxSim over the frame tokens.
        video_score: MeanMaxSim over the video tokens; None for a model without the video level.
        moments: for each word of the query, in its order, the frame it matched best; none for a model that makes
            one vector of all frames.
    """

    video: str
    start: float
    end: float
    score: float
    frame_score: float
    video_score: float | None
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class LevelScores:
    """Scores of all queries with all stored videos, each float32 [Nq, N] on the CPU.

    Attributes:
        scores: sum of the levels that the model scores by.
        frame_scores: MeanMaxSim over the frame tokens.
        video_scores: MeanMaxSim over the video tokens, or None.
    """

    scores: Tensor
    frame_scores: Tensor
    video_scores: Tensor | None


def check_interaction(interaction: str) -> None:
    """Checks that an index can score as a model does.

    Args:
        interaction: `interaction` of the model's configuration.

    Raises:
        IndexStoreError: it is not "mean_max_sim".
    """
    if interaction != "mean_max_sim":
        raise IndexStoreError(
            f"the model's configuration has interaction={interaction!r}, but an index scores by 'mean_max_sim' only; "
            "`video-colbert evaluate` takes such a model"
        )


@torch.inference_mode()
def score_bags(queries: EncodedQueries, frames: TokenBags, videos: TokenBags | None) -> LevelScores:
    """Scores queries against every stored video, exactly, in blocks that bound memory.

    Args:
        queries: Nq encoded queries.
        frames: N bags of frame tokens.
        videos: N bags of video tokens; None for a model without the video level.

    Raises:
        IndexStoreError: the queries are of a model that scores in a way that an index does not.
    """
    check_interaction(queries.interaction)
    levels = {"frame": _score_level(queries, frames)}
    if videos is not None:
        levels["video"] = _score_level(queries, videos)
    total = torch.stack([levels[level] for level in queries.score_levels]).sum(dim=0)
    return LevelScores(scores=total, frame_scores=levels["frame"], video_scores=levels.get("video"))


@torch.inference_mode()
def find_moments(
    queries: EncodedQueries, query: int, frame_embeds: Tensor, timestamps: tuple[float, ...]
) -> tuple[Moment, ...]:
    """For each word of one query, the frame it matches best; the earliest of equals.

    A word's similarity to a frame is the sum over its tokens. Special and pad tokens belong to no word, and a
    word that was cut off has no tokens, hence no moment.

    Args:
        queries: encoded queries.
        query: which of them.
        frame_embeds: [T, D] frame tokens of a video.
        timestamps: T times, in seconds.

    Returns:
        The moments; none for a model that makes one vector of all frames, whose score knows no time.
    """
    if len(frame_embeds) != len(timestamps):
        return ()
    query_embeds = queries.query_embeds[query].cpu()
    similarities = (query_embeds @ frame_embeds.float().T).numpy()
    moments = []
    for word in queries.words[query]:
        if word.token_positions:
            of_word = similarities[list(word.token_positions)].sum(axis=0)
            frame = int(of_word.argmax())
            moments.append(Moment(word.word, timestamps[frame], float(of_word[frame])))
    return tuple(moments)


def _score_level(queries: EncodedQueries, bags: TokenBags) -> Tensor:
    device = queries.query_embeds.device
    longest = int(bags.offsets.diff().max())
    block = max(1, _BLOCK_BYTES // (4 * longest * bags.tokens.shape[1]))
    columns = []
    for first in range(0, len(bags), block):
        tokens, mask = bags.padded(first, min(first + block, len(bags)))
        scores = mean_max_sim(queries.query_embeds, tokens.to(device), queries.query_mask, mask.to(device))
        columns.append(scores.cpu())
    return torch.cat(columns, dim=1)
