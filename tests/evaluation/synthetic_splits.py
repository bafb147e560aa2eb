"""Splits of random tokens, which need no model."""

from __future__ import annotations

import torch

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.evaluation.retrieval import EncodedSplit


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

    queries = EncodedQueries(
        texts=[f"text {number}" for number in range(num_queries)],
        query_embeds=tokens(num_queries, query_tokens),
        query_mask=torch.ones(num_queries, query_tokens, dtype=torch.bool),
        words=[[] for _ in range(num_queries)],
        score_levels=("frame", "video"),
        truncated=[],
    )
    return EncodedSplit(
        video_ids=[f"video{number}" for number in range(num_videos)],
        frame_embeds=tokens(num_videos, frame_tokens),
        frame_mask=torch.ones(num_videos, frame_tokens, dtype=torch.bool),
        video_embeds=tokens(num_videos, video_tokens),
        video_mask=torch.ones(num_videos, video_tokens, dtype=torch.bool),
        queries=queries,
        positives=[number % num_videos for number in range(num_queries)],
        bad=[],
        num_expected_videos=num_videos,
    )
