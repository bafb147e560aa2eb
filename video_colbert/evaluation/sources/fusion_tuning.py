"""Fusions fitted on judged queries, and what they find for judged queries that they were not fitted on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from video_colbert.evaluation.graded_metrics import Ranking, expected_ndcg
from video_colbert.evaluation.sources.source_metrics import ALL_SOURCES, hit_rates_by_source
from video_colbert.index.fusion.calibration import fit_calibrations
from video_colbert.index.fusion.fusing import FUSION_METHODS, FusedHit, FusionMethod, fuse
from video_colbert.index.fusion.judged_query import JudgedQuery
from video_colbert.index.fusion.parameters import FusionParameters
from video_colbert.index.fusion.source_weights import fit_weights

FITTED_METHODS: tuple[FusionMethod, ...] = ("calibrated", "learned", "router")
"""The fusions that judged queries change."""

PARTS = 5


@dataclass(frozen=True)
class FusionFigures:
    """How well a fusion ranks judged queries.

    Attributes:
        hit_rate: k to R@k in percent.
        ndcg: mean nDCG@10, from 0 to 1.
    """

    hit_rate: Mapping[int, float]
    ndcg: float


@dataclass(frozen=True)
class Tuning:
    """What judged queries teach, and what that is worth.

    Attributes:
        parameters: fitted on all queries.
        alone: figures of each source alone.
        unfitted: figures of each fusion that needs no judged query.
        held_out: figures of each fitted fusion, every query ranked by parameters that were fitted without it.
        num_queries: number of judged queries.
    """

    parameters: FusionParameters
    alone: Mapping[str, FusionFigures]
    unfitted: Mapping[FusionMethod, FusionFigures]
    held_out: Mapping[FusionMethod, FusionFigures]
    num_queries: int


def fit_parameters(judged: Sequence[JudgedQuery]) -> FusionParameters:
    """Calibrations and weights of all sources.

    Raises:
        ValueError: as `fit_calibrations` and `fit_weights`.
    """
    return FusionParameters(calibrations=fit_calibrations(judged), weights=fit_weights(judged))


def held_out_fusions(
    judged: Sequence[JudgedQuery],
    methods: Sequence[FusionMethod] = FITTED_METHODS,
    *,
    groups: Sequence[Hashable] | None = None,
    parts: int = PARTS,
    seed: int = 0,
) -> dict[FusionMethod, list[list[FusedHit]]]:
    """Rankings of each query by parameters that were fitted on the queries of the other parts (cross-validation).

    Args:
        judged: queries with their right videos.
        methods: some of `FITTED_METHODS`.
        groups: for each query what it belongs to, such as its topic; those of a group are never in two parts. By
            default each is a group.
        parts: number of parts.
        seed: seed of who is in which part.

    Returns:
        By method, for each query its hits.

    Raises:
        ValueError: fewer groups than parts, or the queries of the other parts teach nothing.
    """
    own = list(range(len(judged))) if groups is None else list(groups)
    distinct = list(dict.fromkeys(own))
    if len(distinct) < parts:
        raise ValueError(f"{parts} parts need as many judged queries that have nothing in common, got {len(distinct)}")
    order = np.random.default_rng(seed).permutation(len(distinct))
    part_of = {group: int(place) % parts for group, place in zip(distinct, order, strict=True)}
    fitted = [
        fit_parameters([query for query, group in zip(judged, own, strict=True) if part_of[group] != part])
        for part in range(parts)
    ]
    return {
        method: [
            fuse(query.lists, method=method, parameters=fitted[part_of[group]])
            for query, group in zip(judged, own, strict=True)
        ]
        for method in methods
    }


def tune_fusion(judged: Sequence[JudgedQuery], *, parts: int = PARTS, seed: int = 0) -> Tuning:
    """Fits all that judged queries can teach, and measures it on queries that were held out.

    Args:
        judged: queries with their right videos, at least `parts`.
        parts: number of parts of the cross-validation.
        seed: seed of who is in which part.

    Raises:
        ValueError: as `held_out_fusions`.
    """
    unfitted: list[FusionMethod] = [method for method in FUSION_METHODS if method != "learned"]
    held_out = held_out_fusions(judged, parts=parts, seed=seed)
    sources = dict.fromkeys(source for query in judged for source in query.lists)
    return Tuning(
        parameters=fit_parameters(judged),
        alone={source: _figures([query.lists.get(source, ()) for query in judged], judged) for source in sources},
        unfitted={
            method: _figures([_ranking(fuse(query.lists, method=method)) for query in judged], judged)
            for method in unfitted
        },
        held_out={method: _figures(list(map(_ranking, hits)), judged) for method, hits in held_out.items()},
        num_queries=len(judged),
    )


def _ranking(hits: Sequence[FusedHit]) -> Ranking:
    return [(hit.id, hit.score) for hit in hits]


def _figures(rankings: Sequence[Ranking], judged: Sequence[JudgedQuery]) -> FusionFigures:
    right = [query.right for query in judged]
    rates = hit_rates_by_source(rankings, right, [ALL_SOURCES] * len(judged))[ALL_SOURCES]
    ndcg = [
        expected_ndcg(ranking, dict.fromkeys(videos, 1.0)) for ranking, videos in zip(rankings, right, strict=True)
    ]
    return FusionFigures(rates, float(np.mean(ndcg)))
