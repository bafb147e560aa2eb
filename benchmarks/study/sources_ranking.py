"""R@1 of the systems of the study of sources: one encoder over all, or one a source with a way to join their lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from sources_data import SourceSplit
from torch import Tensor

from video_colbert.evaluation.graded_metrics import Ranking
from video_colbert.evaluation.sources.fusion_tuning import fit_parameters
from video_colbert.evaluation.sources.source_metrics import hit_rates_by_source
from video_colbert.index.fusion.fusing import FusionMethod, fuse
from video_colbert.index.fusion.judged_query import JudgedQuery

_LIST_LENGTH = 100

FUSIONS: Mapping[str, FusionMethod] = {
    "late fusion, calibrated": "calibrated",
    "late fusion, learned weights": "learned",
    "late fusion, reciprocal ranks": "reciprocal",
    "router": "router",
}
"""Systems of one encoder a source whose lists `fuse` joins; what is fitted is fitted on the validation split."""

AVERAGED = "averaged modalities"
"""The system that ranks by the mean of the sources' scores."""


@dataclass(frozen=True)
class SystemScore:
    """What a system reaches on the queries of a source.

    Attributes:
        system: Its name.
        source: The source that answers the queries, or "all".
        recall_at_1: In percent.
    """

    system: str
    source: str
    recall_at_1: float


def score_matrix(system: str, scores: Tensor, split: SourceSplit) -> list[SystemScore]:
    """R@1 of scores of every query with every clip, [N, N], whose diagonal is right."""
    return _scored(system, [_ranking(row) for row in scores], split)


def score_specialists(
    validation: tuple[SourceSplit, Mapping[str, Tensor]], test: tuple[SourceSplit, Mapping[str, Tensor]]
) -> list[SystemScore]:
    """R@1 of each source's encoder alone, and of all ways to join them.

    Args:
        validation: A split, and by source the scores of every query with every clip, [N, N].
        test: Likewise; what is scored.

    Returns:
        The scores on the test split.
    """
    split, by_source = test
    found = [score for source, scores in by_source.items() for score in score_matrix(f"{source} alone", scores, split)]
    found += score_matrix(AVERAGED, torch.stack(list(by_source.values())).mean(0), split)
    parameters = fit_parameters(_judged(validation[1]))
    for system, method in FUSIONS.items():
        fused = [fuse(query.lists, method=method, parameters=parameters) for query in _judged(by_source)]
        found += _scored(system, [[(hit.id, hit.score) for hit in hits] for hits in fused], split)
    return found


def _judged(by_source: Mapping[str, Tensor]) -> list[JudgedQuery]:
    number = len(next(iter(by_source.values())))
    return [
        JudgedQuery({source: _ranking(scores[row]) for source, scores in by_source.items()}, frozenset({str(row)}))
        for row in range(number)
    ]


def _ranking(scores: Tensor) -> list[tuple[str, float]]:
    """The first of a list, and all that score as its last one: an order among equals would be made up."""
    best, places = scores.sort(descending=True, stable=True)
    length = int((scores >= best[min(_LIST_LENGTH, len(best)) - 1]).sum())
    return [(str(place), score) for place, score in zip(places[:length].tolist(), best[:length].tolist(), strict=True)]


def _scored(system: str, rankings: Sequence[Ranking], split: SourceSplit) -> list[SystemScore]:
    right = [{str(row)} for row in range(len(rankings))]
    rates = hit_rates_by_source(rankings, right, split.answering, ks=(1,))
    return [SystemScore(system, source, by_k[1]) for source, by_k in rates.items()]
