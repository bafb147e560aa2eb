"""Rankings of a split's videos for its captions, for figures that ranks of one right video do not give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from video_colbert.evaluation.dual_softmax import DEFAULT_SCALE, DualSoftmaxPrior
from video_colbert.evaluation.encoded_split import EncodedSplit
from video_colbert.evaluation.graded_metrics import expected_ndcg
from video_colbert.evaluation.labels.query_labels import JudgedText, source_of_level

GRADED_RANK = 10
"""The last rank that counts in nDCG."""

_CAPTIONS_PER_BLOCK = 64
_VIDEOS_PER_BLOCK = 1024


@torch.inference_mode()
def ndcg_by_level(
    split: EncodedSplit, judged: Sequence[JudgedText], *, k: int = GRADED_RANK, dual_softmax: bool = False
) -> dict[str, float]:
    """Mean nDCG@k of queries with graded judgements, in expectation over the order of tied videos.

    Args:
        split: gallery and captions.
        judged: at least one query.
        k: the last rank that counts.
        dual_softmax: whether scores are re-weighted by all captions.

    Returns:
        By level, "sum" among them, from 0 to 1.
    """
    captions = torch.tensor([query.caption for query in judged])
    found: dict[str, list[float]] = {}
    for block, scores in _scores_in_blocks(split, captions, dual_softmax):
        for level, of_level in scores.items():
            # Ties with the last that counts may stand in its place.
            least = of_level.topk(min(k, of_level.shape[1])).values[:, -1:]
            for query, row, is_listed in zip(judged[block], of_level, of_level >= least, strict=True):
                places = is_listed.nonzero()[:, 0]
                ranking = [
                    (str(place), score) for place, score in zip(places.tolist(), row[places].tolist(), strict=True)
                ]
                grades = {str(video): grade for video, grade in query.relevance.items()}
                found.setdefault(level, []).append(expected_ndcg(ranking, grades, k=k))
    return {level: float(np.mean(values)) for level, values in found.items()}


@torch.inference_mode()
def chosen_sources(split: EncodedSplit, *, dual_softmax: bool = False) -> list[str] | None:
    """For each caption the source of the level that brings most to the score of its first hit.

    Of several first hits, or levels, that bring the same, the first one.

    Args:
        split: gallery and captions.
        dual_softmax: whether the first hit is that of scores re-weighted by all captions.

    Returns:
        [captions] names as in `QueryLabels.sources`; None of a model that scores by one source alone.
    """
    weights = {level: weight for level, weight in split.queries.level_weights.items() if weight}
    if len({source_of_level(level) for level in weights}) < 2:
        return None
    chosen: list[str] = []
    captions = torch.arange(len(split.positives))
    for block, scores in _scores_in_blocks(split, captions, dual_softmax):
        first = scores["sum"].argmax(dim=1)
        plain = _scores(split, captions[block]) if dual_softmax else scores
        rows = torch.arange(len(first))
        parts = torch.stack([weight * plain[level][rows, first] for level, weight in weights.items()])
        names = [source_of_level(level) for level in weights]
        chosen += [names[number] for number in parts.argmax(dim=0).tolist()]
    return chosen


def _scores_in_blocks(
    split: EncodedSplit, captions: Tensor, dual_softmax: bool
) -> Iterator[tuple[slice, Mapping[str, Tensor]]]:
    """By block of some captions, their scores with all videos by level, [captions, videos] on the CPU."""
    priors: dict[str, DualSoftmaxPrior] = {}
    gallery = slice(0, len(split.video_ids))
    if dual_softmax:
        for block in _blocks(len(split.positives)):
            for level, of_level in _scores(split, torch.arange(block.start, block.stop)).items():
                prior = priors.setdefault(level, DualSoftmaxPrior(gallery.stop, scale=DEFAULT_SCALE))
                prior.update(of_level, gallery)
    for block in _blocks(len(captions)):
        scores = _scores(split, captions[block])
        yield (
            block,
            {
                level: priors[level].reweight(found, gallery) if dual_softmax else found
                for level, found in scores.items()
            },
        )


def _blocks(number: int) -> list[slice]:
    return [slice(first, min(first + _CAPTIONS_PER_BLOCK, number)) for first in range(0, number, _CAPTIONS_PER_BLOCK)]


def _scores(split: EncodedSplit, captions: Tensor) -> dict[str, Tensor]:
    parts: dict[str, list[Tensor]] = {}
    for first in range(0, len(split.video_ids), _VIDEOS_PER_BLOCK):
        for level, scores in split.level_scores(captions, slice(first, first + _VIDEOS_PER_BLOCK)).items():
            parts.setdefault(level, []).append(scores.cpu())
    return {level: torch.cat(of_level, dim=1) for level, of_level in parts.items()}
