"""A query whose right videos are known, with what every source found for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class JudgedQuery:
    """What fusions are fitted on.

    Attributes:
        lists: by source, pairs of a video's id and its score, the best first.
        right: ids of the videos that answer the query.
    """

    lists: Mapping[str, Sequence[tuple[str, float]]]
    right: frozenset[str]
