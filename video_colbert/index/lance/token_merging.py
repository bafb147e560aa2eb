"""Fewer tokens a video: neighbours in time that are nearly equal become one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedVideo


@dataclass(frozen=True)
class MergedTokens:
    """Tokens after merging.

    Attributes:
        tokens: float32 [M, D], each of unit length.
        sizes: int64 [M], how many of the given tokens each of them stands for, in order.
    """

    tokens: Tensor
    sizes: Tensor


@torch.inference_mode()
def merge_neighbours(tokens: Tensor, min_similarity: float) -> MergedTokens:
    """Merges neighbouring tokens, the most similar pair first, while their cosine is at least `min_similarity`.

    A merged token is the mean of the tokens it stands for, at unit length.

    Args:
        tokens: [T, D] tokens of unit length, in order of time.
        min_similarity: from -1 (all become one) to 1 (equal ones become one).
    """
    sums = [token.float() for token in tokens]
    sizes = [1] * len(sums)

    def cosine(place: int) -> float:
        return float(F.cosine_similarity(sums[place], sums[place + 1], dim=0))

    similarities = [cosine(place) for place in range(len(sums) - 1)]
    while similarities and max(similarities) >= min_similarity:
        place = similarities.index(max(similarities))
        sums[place : place + 2] = [sums[place] + sums[place + 1]]
        sizes[place : place + 2] = [sizes[place] + sizes[place + 1]]
        del similarities[place]
        for changed in (place - 1, place):
            if 0 <= changed < len(similarities):
                similarities[changed] = cosine(changed)
    merged = F.normalize(torch.stack(sums), dim=1) if sums else tokens.float()
    return MergedTokens(merged, torch.tensor(sizes, dtype=torch.int64))


def merge_video_tokens(video: EncodedVideo, min_similarity: float) -> EncodedVideo:
    """Merges the tokens of a video that are nearly equal to their neighbours in time.

    The first T video tokens belong to the T frames and are merged as they are, by their own similarities; the
    expansion tokens behind them, which belong to no time, stay. Tokens of other levels, which follow no frames, stay.

    Args:
        video: T frame tokens and, for a model with the video level, at least T video tokens.
        min_similarity: cosine from which neighbours are merged, above 0 and at most 1.

    Returns:
        The video with fewer tokens; the timestamp of a merged frame token is the mean of those it stands for.

    Raises:
        ValueError: `min_similarity` is out of range, or the tokens have weights, which merged tokens would not have.
    """
    if not 0.0 < min_similarity <= 1.0:
        raise ValueError(f"min_similarity must be above 0 and at most 1, got {min_similarity}")
    if video.token_weights:
        raise ValueError("tokens with weights cannot be merged; index them without merge_similarity")
    merged = dict(video.embeds)
    frames = merge_neighbours(video.embeds["frame"], min_similarity)
    merged["frame"] = frames.tokens
    ends = np.cumsum(frames.sizes.numpy())
    groups = np.split(video.timestamps, ends[:-1])
    if "video" in merged:
        of_frames, expansion = torch.split(
            merged["video"], [len(video.timestamps), len(merged["video"]) - len(video.timestamps)]
        )
        merged["video"] = torch.cat([merge_neighbours(of_frames, min_similarity).tokens, expansion])
    return dataclasses.replace(video, timestamps=np.array([group.mean() for group in groups]), embeds=merged)
