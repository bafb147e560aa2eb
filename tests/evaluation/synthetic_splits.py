"""Splits of random tokens, which need no model."""

from __future__ import annotations

import torch

from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.encoding.level_scores import PaddedLevel
from video_colbert.evaluation.encoded_split import EncodedSplit


def random_split(
    num_videos: int,
    num_queries: int,
    *,
    query_tokens: int = 32,
    frame_tokens: int = 12,
    video_tokens: int = 14,
    width: int = 128,
    seed: int = 0,
) -> EncodedSplit:
    """Unit vectors in all directions; query i describes video i modulo the number of videos."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(*shape: int) -> torch.Tensor:
        values = torch.randn(*shape, width, generator=generator)
        return values.div_(values.norm(dim=-1, keepdim=True))

    def padded(length: int) -> PaddedLevel:
        return PaddedLevel(tokens(num_videos, length), torch.ones(num_videos, length, dtype=torch.bool))

    mask = torch.ones(num_queries, query_tokens, dtype=torch.bool)
    bags = QueryBags(tokens(num_queries, query_tokens), mask, [[] for _ in range(num_queries)])
    texts = [f"text {number}" for number in range(num_queries)]
    queries = EncodedQueries.of_one_encoder(texts, bags, ("frame", "video"))
    return EncodedSplit(
        video_ids=[f"video{number}" for number in range(num_videos)],
        levels={"frame": padded(frame_tokens), "video": padded(video_tokens)},
        queries=queries,
        positives=[number % num_videos for number in range(num_queries)],
        bad=[],
        num_expected_videos=num_videos,
    )
