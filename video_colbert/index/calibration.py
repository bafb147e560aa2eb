"""How many candidates a recall takes, measured on the index itself.

The pooled order of videos is not the exact one. For queries whose exact best videos are known, the places of those
videos in the pooled order say how many candidates hold them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoded import EncodedQueries
from video_colbert.index.token_bags import TokenBags

# One-sided 95 % of the normal distribution.
_CONFIDENCE = 1.645


@dataclass(frozen=True)
class Calibration:
    """What a calibration found; it can be stored and handed to a later `Searcher`.

    Attributes:
        recall_target: share of the exact best videos that must be among the candidates.
        recall: share that was, over all calibration queries.
        top_k: best videos of each query that were looked for.
        num_candidates: candidates that reach the target.
        num_queries: calibration queries.
        real_queries: whether they were a user's queries rather than made from stored tokens.
        num_videos: videos of the index, or of the sample of it, that the places were counted in.
    """

    recall_target: float
    recall: float
    top_k: int
    num_candidates: int
    num_queries: int
    real_queries: bool
    num_videos: int

    def candidates_for(self, top_k: int, num_videos: int) -> int:
        """Candidates for another number of hits and of videos, in proportion, but never fewer."""
        hits = max(1.0, top_k / self.top_k)
        videos = max(1.0, num_videos / self.num_videos)
        return min(num_videos, math.ceil(self.num_candidates * hits * videos))


def count_candidates(places: Tensor, recall_target: float) -> tuple[int, float]:
    """The smallest number of candidates that holds the best videos with the recall asked for.

    Recall is a mean over queries, which are few, so its lower confidence limit (one-sided 95 %, normal
    approximation) must reach the target.

    Args:
        places: int64 [Nq, k], the place, from 0, of each of a query's exact best videos in the pooled order.
        recall_target: above 0, at most 1.

    Returns:
        The number of candidates and the recall that it has on these queries.
    """
    for count in torch.unique(places).add_(1).tolist():
        recalls = (places < count).double().mean(dim=1)
        spread = float(recalls.std(correction=1)) if len(recalls) > 1 else 0.0
        if float(recalls.mean()) - _CONFIDENCE * spread / math.sqrt(len(recalls)) >= recall_target:
            return int(count), float(recalls.mean())
    return int(places.max()) + 1, 1.0


def make_queries(
    frames: TokenBags, videos: TokenBags | None, score_levels: tuple[str, ...], *, length: int, seed: int = 0
) -> EncodedQueries:
    """Makes a query of each video: tokens drawn from all its levels, disturbed.

    The disturbance has the length of the token itself, which leaves a cosine of about 0.7 to it; every other query
    mixes the tokens of two videos, as a text fits several.

    Args:
        frames: Nq bags of frame tokens, none of them empty.
        videos: as many bags of video tokens, or None.
        score_levels: levels that the model scores by.
        length: tokens of each query.
        seed: of what is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    levels = [frames] if videos is None else [frames, videos]
    tokens_of = [torch.cat([bags.bag(row) for bags in levels]).float() for row in range(len(frames))]
    made = []
    for row, own in enumerate(tokens_of):
        pool = torch.cat([own, tokens_of[row - 1]]) if row % 2 else own
        drawn = pool[torch.randint(len(pool), (length,), generator=generator)]
        noise = F.normalize(torch.randn(drawn.shape, generator=generator), dim=1) * drawn.norm(dim=1, keepdim=True)
        made.append(F.normalize(drawn + noise, dim=1))
    embeds = torch.stack(made)
    return EncodedQueries(
        texts=["" for _ in made],
        query_embeds=embeds,
        query_mask=torch.ones(embeds.shape[:2], dtype=torch.bool),
        words=[[] for _ in made],
        score_levels=score_levels,
        truncated=[],
    )
