"""The server-side query: pooled candidates, both levels' MaxSim over them, their weighted sum.

    score = sum over levels l of  w_l / n * MaxSim_l,   MaxSim_l = sum over the n query tokens of max over tokens

which is the weighted sum of MeanMaxSim over the levels (arXiv 2503.19009). Each level's MaxSim is a branch of the
query over the same candidates, and a formula adds the branches' scores.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from qdrant_client import models
from torch import Tensor

from video_colbert.index.qdrant.points import LEVEL_VECTORS, POOLED


def score_query(
    tokens: Tensor,
    *,
    weights: Mapping[str, float],
    levels: tuple[str, ...],
    candidates: int,
    limit: int,
    where: models.Filter | None,
    rescore_pooled: bool = False,
) -> models.QueryRequest:
    """One query for Qdrant's query interface.

    Each shard selects its own candidates. A branch and its twin select the same ones, except where a video is
    written between the two; such a video lacks one branch's score and counts with the lowest there is, so it never
    ranks above its true place.

    Args:
        tokens: float32 [n, D], the query tokens that count, at least one.
        weights: weight of each level that counts, none negative, not all 0.
        levels: the levels that the collection holds.
        candidates: videos that each shard scores by their tokens.
        limit: hits.
        where: condition on the candidates, applied before they are cut.
        rescore_pooled: whether twice the candidates are chosen by the compressed pooled vectors and cut by the full
            ones, which is worth reading those only where the copy is coarse.
    """
    scored = [level for level in levels if weights.get(level, 0.0) != 0.0]
    mean = tokens.mean(dim=0)
    pooled = torch.cat([mean * weights.get(level, 0.0) for level in levels]).tolist()
    vectors = tokens.tolist()
    first = models.Prefetch(
        query=pooled, using=POOLED, limit=candidates, filter=where, params=_candidate_search(rescore_pooled)
    )
    branches = [
        models.Prefetch(prefetch=first, query=vectors, using=LEVEL_VECTORS[level], limit=candidates)
        for level in scored
    ]
    terms: list[models.Expression] = [
        models.MultExpression(mult=[weights[level] / len(tokens), f"$score[{branch}]"])
        for branch, level in enumerate(scored)
    ]
    # The lowest MaxSim is n cosines of -1.
    worst = {f"$score[{branch}]": -float(len(tokens)) for branch in range(len(scored))}
    return models.QueryRequest(
        prefetch=branches,
        query=models.FormulaQuery(formula=models.SumExpression(sum=terms), defaults=worst),
        limit=limit,
        with_payload=["path"],
        with_vector=False,
    )


def _candidate_search(rescore: bool) -> models.SearchParams:
    # Ignored by a collection whose pooled vectors have no compressed copy.
    return models.SearchParams(
        quantization=models.QuantizationSearchParams(rescore=rescore, oversampling=2.0 if rescore else None)
    )
