"""How candidates are found and how many a recall takes, measured on the index itself.

The order of videos by pooled vectors, or by tokens in few dimensions, is not the exact one. For queries whose exact
best videos are known, the places of those videos in that order say how many candidates hold them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.index.search.token_bags import TokenBags

METHODS = ("pooled", "reduced")
# One-sided 95 % of the normal distribution.
_CONFIDENCE = 1.645
# Length of what is added to a token of unit length to make a query token of it.
_DISTURBANCE = 3.0


@dataclass(frozen=True)
class Calibration:
    """What a calibration found; it can be stored and handed to a later `Searcher`.

    Attributes:
        method: what orders the candidates, `pooled` vectors or `reduced` tokens.
        recall_target: share of the exact best videos that must be among the candidates.
        recall: share that was, over all calibration queries.
        top_k: best videos of each query that were looked for.
        num_candidates: candidates that reach the target.
        num_queries: calibration queries.
        real_queries: whether they were a user's queries rather than made from stored tokens.
        num_videos: videos that the source had.
    """

    method: str
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


def places_of(rows: Tensor, scores: Tensor) -> Tensor:
    """The place of given rows in the order of scores, best first.

    Args:
        rows: int64 [Nq, k].
        scores: float32 [Nq, N].

    Returns:
        int64 [Nq, k], from 0.
    """
    own = scores.gather(1, rows)
    return torch.stack([(scores > own[:, [hit]]).sum(dim=1) for hit in range(rows.shape[1])], dim=1)


def make_queries(
    frames: TokenBags, videos: TokenBags | None, score_levels: tuple[str, ...], *, length: int, seed: int = 0
) -> EncodedQueries:
    """Makes a query of each video: tokens drawn from both levels, disturbed by differences of other videos' tokens.

    A text is far from any frame, though it lies among the directions in which videos differ: the disturbance has
    three times the length of the token. On a model trained on moving shapes, the pooled vectors needed 2,118
    candidates of 5,300 for such queries, 2,669 for captions, and 740 with a disturbance as long as the token.

    Args:
        frames: Nq bags of frame tokens, none of them empty; at least 2.
        videos: as many bags of video tokens, or None.
        score_levels: levels that the model scores by.
        length: tokens of each query.
        seed: of what is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    levels = [frames] if videos is None else [frames, videos]
    every = torch.cat([bags.tokens for bags in levels]).float()

    def draw(tokens: Tensor) -> Tensor:
        return tokens[torch.randint(len(tokens), (length,), generator=generator)]

    made = []
    for row in range(len(frames)):
        drawn = F.normalize(draw(torch.cat([bags.bag(row) for bags in levels]).float()), dim=1)
        made.append(F.normalize(drawn + _DISTURBANCE * F.normalize(draw(every) - draw(every), dim=1), dim=1))
    embeds = torch.stack(made)
    return EncodedQueries(
        texts=["" for _ in made],
        query_embeds=embeds,
        query_mask=torch.ones(embeds.shape[:2], dtype=torch.bool),
        words=[[] for _ in made],
        score_levels=score_levels,
        truncated=[],
    )
