"""What an index has to know of the ways in which queries are scored against tokens (`late_interaction.py`)."""

from __future__ import annotations

from collections.abc import Collection

from video_colbert.errors import IndexStoreError

_SUMS_OF_MAXIMA = ("mean_max_sim", "max_sim")
_OF_WEIGHED_TOKENS = ("weighted_token_wise", "attention_max_sim", "attention_mean_max_sim")
INTERACTIONS = _SUMS_OF_MAXIMA + _OF_WEIGHED_TOKENS
"""Those of `late_interaction.py`, named without importing torch."""


def check_interaction(interaction: str, known: Collection[str], holder: str) -> None:
    """Checks that an index can score as a model does.

    Args:
        interaction: `interaction` of the model's configuration.
        known: those that the index scores by.
        holder: what the index is, as an error names it.

    Raises:
        IndexStoreError: it is none of them.
    """
    if interaction not in known:
        raise IndexStoreError(
            f"the model's configuration has interaction={interaction!r}, but {holder} scores by "
            f"{' and '.join(map(repr, known))} only; index in a folder, or score by `video-colbert evaluate`"
        )


LEVEL_SCORINGS = ("sum", "token_max", "modality_max")
"""The ways in which levels make one score, as `level_scoring.py` says them."""


def check_level_scoring(level_scoring: str, known: Collection[str], holder: str) -> None:
    """Checks that an index can make one score of levels as a model does.

    Args:
        level_scoring: `level_scoring` of the model's configuration.
        known: those that the index knows.
        holder: what the index is, as an error names it.

    Raises:
        IndexStoreError: it is none of them.
    """
    if level_scoring not in known:
        raise IndexStoreError(
            f"the model's configuration has level_scoring={level_scoring!r}, but {holder} knows "
            f"{' and '.join(map(repr, known))} only; index in a folder, or score by `video-colbert evaluate`"
        )


def has_bound(interaction: str, level_scoring: str = "sum") -> bool:
    """Whether fast scores have a bound of their error, and candidates are found by pooled vectors and the like.

    A sum of weighted maxima over a video's tokens moves no further than its terms. The weighted token-wise interaction
    looks for maxima over the query's tokens too, which the fast forms do not hold, and in ColBERT-Att another token
    may win, with another factor, however little a similarity moves. Candidates are found by sums of levels.
    """
    return interaction in _SUMS_OF_MAXIMA and level_scoring == "sum"


def weighs_tokens(interaction: str) -> bool:
    """Whether the score takes a weight of each stored token."""
    return interaction in _OF_WEIGHED_TOKENS


def is_mean(interaction: str) -> bool:
    """Whether an interaction with a bound divides by the number of query tokens."""
    return interaction == "mean_max_sim"
