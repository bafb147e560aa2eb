"""Scores of encoded queries against encoded videos, level by level, without an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo
from video_colbert.modeling_video_colbert import interaction_scores
from video_colbert.modeling_video_colbert.level_scoring import best_level, best_token, sum_of_levels


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
        if not embeds.shape[1]:
            # Scores want a token, if a masked one: no video has a text of this kind.
            embeds = F.pad(embeds, (0, 0, 0, 1))
        mask = torch.arange(embeds.shape[1]) < torch.tensor([len(bag) for bag in bags])[:, None]
        weights = [video.token_weights[level] for video in videos if level in video.token_weights]
        padded = pad_sequence(weights, batch_first=True) if weights else None
        if padded is not None:
            padded = F.pad(padded, (0, embeds.shape[1] - padded.shape[1]))
        levels[level] = PaddedLevel(embeds, mask, padded)
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
        [queries, videos] scores by level that queries are compared with, minus infinity where a video has no tokens on
        it, and under "sum" the model's: the sum over the levels that count, times their weights, or the best of them
        where the queries' `level_scoring` says so. On the device that holds the queries, which is the encoder's.
    """
    scores = {}
    for level, videos in levels.items():
        if level not in queries.encoder_of_level:
            continue
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
    counted = [level for level in weights if weights[level]]
    if queries.level_scoring == "token_max":
        bags = queries.bags_of(counted[0])
        device = bags.embeds.device
        tokens = [
            (levels[level].embeds[columns].to(device), levels[level].mask[columns].to(device)) for level in counted
        ]
        scores["sum"] = best_token(bags.embeds[rows], bags.mask[rows], tokens)
    elif queries.level_scoring == "modality_max":
        scores["sum"] = best_level([scores[level] for level in counted])
    else:
        scores["sum"] = sum_of_levels([weights[level] * scores[level] for level in counted])
    return scores
