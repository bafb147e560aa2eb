"""Scores of encoded queries against encoded videos, level by level, without an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.modeling_video_colbert import interaction_scores


@dataclass(frozen=True)
class PaddedLevel:
    """The bags of videos on one level, padded to the longest.

    Attributes:
        embeds: float32 [N, T, D] tokens.
        mask: bool [N, T], true on real tokens.
        token_weights: float32 [N, T]; None for a model that does not score by weights of tokens.
    """

    embeds: Tensor
    mask: Tensor
    token_weights: Tensor | None = None


def pad_levels(videos: Sequence[EncodedVideo]) -> dict[str, PaddedLevel]:
    """The bags of at least one video by level; all videos have the levels of the first."""
    levels = {}
    for level in videos[0].embeds:
        bags = [video.embeds[level] for video in videos]
        embeds = pad_sequence(bags, batch_first=True)
        mask = torch.arange(embeds.shape[1]) < torch.tensor([len(bag) for bag in bags])[:, None]
        weights = [video.token_weights[level] for video in videos if level in video.token_weights]
        levels[level] = PaddedLevel(embeds, mask, pad_sequence(weights, batch_first=True) if weights else None)
    return levels


def level_scores(
    queries: EncodedQueries,
    levels: Mapping[str, PaddedLevel],
    rows: slice | Tensor = slice(None),
    columns: slice = slice(None),
) -> dict[str, Tensor]:
    """Scores queries against videos on each level, and their sum.

    Args:
        queries: Nq encoded queries.
        levels: the tokens of N videos by level.
        rows: which queries.
        columns: which videos.

    Returns:
        [queries, videos] scores by level, and "sum" over the levels that count, times their weights; on the device
        that holds the queries, which is the encoder's.
    """
    scores = {}
    for level, videos in levels.items():
        bags = queries.bags_of(level)
        device = bags.embeds.device
        scores[level] = interaction_scores(
            queries.interaction,
            bags.embeds[rows],
            videos.embeds[columns].to(device),
            bags.mask[rows],
            videos.mask[columns].to(device),
            None if bags.token_weights is None else bags.token_weights[rows],
            None if videos.token_weights is None else videos.token_weights[columns].to(device),
        )
    weights = queries.level_weights
    scores["sum"] = torch.stack([weights[level] * scores[level] for level in weights if weights[level]]).sum(0)
    return scores
