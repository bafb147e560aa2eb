"""What another model changes in what is found: two rankings of the same videos for each query, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class QueryDrift:
    """How two rankings of one query differ.

    Attributes:
        query: the text.
        first: the first video of each ranking; None of an empty one.
        overlap: share of the first k videos of one that are among those of the other, from 0 to 1.
        rank_correlation: Spearman's correlation of the ranks, see `rank_correlation`; None where there is only one
            video to rank.
    """

    query: str
    first: tuple[str | None, str | None]
    overlap: float
    rank_correlation: float | None

    @property
    def is_first_changed(self) -> bool:
        """Whether another video stands first."""
        return self.first[0] != self.first[1]


@dataclass(frozen=True)
class ScoreDrift:
    """How two models rank the same videos for the same queries.

    Attributes:
        k: how many first videos were compared.
        changed_first: share of the queries that have another first video, from 0 to 1.
        overlap: mean of the queries' overlaps.
        rank_correlation: mean of the queries' rank correlations; None where none has one.
        queries: each query's, those that changed most first.
    """

    k: int
    changed_first: float
    overlap: float
    rank_correlation: float | None
    queries: list[QueryDrift]

    def as_dict(self) -> dict[str, Any]:
        """The fields, in types that JSON has."""
        return asdict(self)


def compare_rankings(
    queries: Sequence[str], before: Sequence[Sequence[str]], after: Sequence[Sequence[str]], *, k: int = 10
) -> ScoreDrift:
    """Compares what two models find for each query.

    Args:
        queries: the texts.
        before: for each, the videos that one model finds, the best first, each once; those beyond the first k do not
            count.
        after: likewise of the other model.
        k: how many first videos are compared.

    Raises:
        ValueError: there is no query, k is below 1, or there are not as many rankings as queries.

    Example:
        >>> drift = compare_rankings(["a dog"], [["a.mp4", "b.mp4"]], [["b.mp4", "a.mp4"]])
        >>> drift.changed_first, drift.overlap, drift.rank_correlation
        (1.0, 1.0, -1.0)
    """
    if not queries or k < 1 or not len(queries) == len(before) == len(after):
        raise ValueError(
            f"expected a query or more with a ranking by each model, and k from 1; got {len(queries)} queries, "
            f"{len(before)} and {len(after)} rankings, and k={k}"
        )
    drifts = [
        _query_drift(query, one[:k], other[:k]) for query, one, other in zip(queries, before, after, strict=True)
    ]
    correlations = [drift.rank_correlation for drift in drifts if drift.rank_correlation is not None]
    # Another first video outweighs what changed behind it.
    most_changed = sorted(drifts, key=lambda drift: (not drift.is_first_changed, drift.overlap, _order(drift)))
    return ScoreDrift(
        k=k,
        changed_first=sum(drift.is_first_changed for drift in drifts) / len(drifts),
        overlap=float(np.mean([drift.overlap for drift in drifts])),
        rank_correlation=float(np.mean(correlations)) if correlations else None,
        queries=most_changed,
    )


def rank_correlation(before: Sequence[str], after: Sequence[str]) -> float | None:
    """Spearman's correlation of the ranks that two lists give to all videos of either.

    The videos that a list lacks share the ranks behind its last one (the mean of them), as those of equal scores do.

    Args:
        before: videos, the best first, each once.
        after: likewise.

    Returns:
        From -1 to 1; None where the lists have fewer than two videos together.
    """
    videos = list(dict.fromkeys([*before, *after]))
    if len(videos) < 2:
        return None
    deviations = [_ranks(ranking, videos) - (len(videos) + 1) / 2 for ranking in (before, after)]
    lengths = np.sqrt(deviations[0] @ deviations[0] * (deviations[1] @ deviations[1]))
    return None if lengths == 0.0 else float(deviations[0] @ deviations[1] / lengths)


def _ranks(ranking: Sequence[str], videos: Sequence[str]) -> npt.NDArray[np.float64]:
    place = {video: float(rank) for rank, video in enumerate(ranking, start=1)}
    behind = (len(ranking) + 1 + len(videos)) / 2
    return np.array([place.get(video, behind) for video in videos])


def _query_drift(query: str, before: Sequence[str], after: Sequence[str]) -> QueryDrift:
    longest = max(len(before), len(after))
    shared = len(set(before) & set(after))
    return QueryDrift(
        query=query,
        first=(before[0] if before else None, after[0] if after else None),
        overlap=shared / longest if longest else 1.0,
        rank_correlation=rank_correlation(before, after),
    )


def _order(drift: QueryDrift) -> float:
    return 1.0 if drift.rank_correlation is None else drift.rank_correlation
