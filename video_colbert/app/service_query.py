"""A question to the service, checked before any work is done on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from video_colbert.errors import QueryError

MOST_LETTERS = 2000
"""Letters of a query, at most; models read fewer, and say so."""
MOST_HITS = 200
"""Hits of one search, at most."""


@dataclass(frozen=True)
class StoredMoment:
    """A stretch of a video of the index, as what is looked for.

    Attributes:
        video: id of the video, as hits name it.
        start: in seconds; None for the beginning of the video.
        end: in seconds; None for its end.
    """

    video: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class ServiceQuery:
    """What is looked for, and where.

    Attributes:
        text: what to look for, in words; empty where a picture or clip alone is looked for.
        image: a picture that is looked for: the bytes of a file of it.
        moment: a moment of the index that is looked for, which itself is no hit.
        clip: a clip that is looked for: the bytes of a file of it. At most one of these three is given.
        text_weight: the share of the words in the score, where they stand beside a picture or clip: from 0 to 1.
        index: the name of the index; empty for the first.
        where: a condition that hits must satisfy, as of `search --where`; empty for none.
        sources: what is asked, such as "video" and "speech"; empty for all that the index holds.
        top_k: hits, at most.
        min_score: the score that a hit has at least; by default any.
        with_windows: whether the other windows of a hit's video that match are given too.
    """

    text: str = ""
    image: bytes | None = field(default=None, repr=False)
    moment: StoredMoment | None = None
    clip: bytes | None = field(default=None, repr=False)
    text_weight: float = 0.5
    index: str = ""
    where: str = ""
    sources: Sequence[str] = ()
    top_k: int = 10
    min_score: float | None = None
    with_windows: bool = True

    def check(self) -> None:
        """Checks what can be checked without an index.

        Raises:
            QueryError: nothing is asked, or more than is taken on.
        """
        check_text(self.text)
        check_number("top_k", self.top_k)
        check_condition(self.where)
        if self.min_score is not None and not math.isfinite(self.min_score):
            raise QueryError(f"min_score must be a finite number, got {self.min_score}")
        shown = [each for each in (self.image, self.moment, self.clip) if each is not None]
        if len(shown) > 1:
            raise QueryError("a picture, a moment and a clip are looked for one at a time; give one of them")
        if not shown and not self.text.strip():
            raise QueryError("nothing is asked; say what to look for")
        if not 0.0 <= self.text_weight <= 1.0:
            raise QueryError(f"text_weight must be from 0 to 1, got {self.text_weight}")
        if self.moment is not None:
            check_range(self.moment.start, self.moment.end)


def check_text(text: str) -> None:
    """Checks the words of a question.

    Raises:
        QueryError: they are too long, or hold what is no character.
    """
    if len(text) > MOST_LETTERS:
        raise QueryError(f"the query has {len(text)} letters; at most {MOST_LETTERS} are taken")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("the query holds halves of characters, which are no text") from error


def check_condition(where: str) -> None:
    """Checks the length of a condition.

    Raises:
        QueryError: it is too long.
    """
    if len(where) > MOST_LETTERS:
        raise QueryError(f"the condition has {len(where)} letters; at most {MOST_LETTERS} are taken")


def check_number(name: str, number: int) -> None:
    """Checks how many hits are asked for.

    Args:
        name: of the argument.
        number: its value.

    Raises:
        QueryError: it is no whole number from 1 to `MOST_HITS`.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_HITS:
        raise QueryError(f"{name} must be a whole number from 1 to {MOST_HITS}, got {number!r}")


def check_range(start: float | None, end: float | None) -> None:
    """Checks a stretch of a video.

    Args:
        start: in seconds; None for the beginning of the video.
        end: in seconds; None for its end.

    Raises:
        QueryError: it is no stretch of time.
    """
    for name, value in (("start", start), ("end", end)):
        if value is not None and (not math.isfinite(value) or value < 0.0):
            raise QueryError(f"{name} must be a number of seconds from 0 on, got {value}")
    if end is not None and (start or 0.0) >= end:
        raise QueryError(f"the start, {start or 0.0:g} s, must be before the end, {end:g} s")
