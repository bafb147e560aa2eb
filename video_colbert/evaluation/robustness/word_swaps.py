"""An attack on queries: a few swaps of words or letters after which a query no longer finds its video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

SwapKind = Literal["words", "letters"]
"""Whether two neighbouring words change places, or two neighbouring letters inside of a word."""

Margins = Callable[[Sequence[str]], npt.NDArray[np.float64]]
"""By how much each wording still finds the video: its score minus the best other one's."""

# Shorter words have no two letters inside that could change places.
_SHORTEST = 4


@dataclass(frozen=True)
class SwappedQuery:
    """A query after the swaps.

    Attributes:
        text: the query with its words or letters swapped.
        swaps: how many swaps were made.
        margin: of the query's video, the score minus the best other one's.
    """

    text: str
    swaps: int
    margin: float


def swapped_texts(text: str, kind: SwapKind) -> list[str]:
    """Every text that one swap makes of a text, without the text itself.

    Args:
        text: words separated by blanks.
        kind: "words" exchanges two neighbouring words; "letters" two neighbouring letters of a word of at least four,
            of which the first and the last stay, as readers hardly notice.

    Raises:
        ValueError: there is no such kind.

    Example:
        >>> swapped_texts("a red dog", "words")
        ['red a dog', 'a dog red']
        >>> swapped_texts("a frog", "letters")
        ['a forg']
    """
    if kind not in get_args(SwapKind):
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(get_args(SwapKind))}")
    words = text.split()
    found = []
    if kind == "words":
        for number in range(len(words) - 1):
            found.append([*words[:number], words[number + 1], words[number], *words[number + 2 :]])
    else:
        for number, word in enumerate(words):
            for at in range(1, len(word) - 2 if len(word) >= _SHORTEST else 0):
                changed = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
                found.append([*words[:number], changed, *words[number + 1 :]])
    texts = dict.fromkeys(" ".join(each) for each in found)
    return [each for each in texts if each != " ".join(words)]


def attack_query(text: str, margins: Margins, *, kind: SwapKind, budget: int) -> SwappedQuery:
    """Searches greedily for the swaps that cost a query its video.

    Each step tries every swap and keeps the one with the smallest margin; it ends when the video is no longer first,
    when no swap lowers the margin, or when the budget is spent. Needs scores and no gradients.

    Args:
        text: the query.
        margins: of wordings of it.
        kind: what is swapped.
        budget: swaps at most.

    Raises:
        ValueError: the budget is below 1, or there is no such kind.
    """
    if budget < 1:
        raise ValueError(f"budget is {budget}; it must be a whole number of swaps from 1")
    best = SwappedQuery(text, 0, float(margins([text])[0]))
    while best.swaps < budget and best.margin > 0:
        candidates = swapped_texts(best.text, kind)
        if not candidates:
            break
        values = margins(candidates)
        number = int(np.argmin(values))
        if values[number] >= best.margin:
            break
        best = SwappedQuery(candidates[number], best.swaps + 1, float(values[number]))
    return best
