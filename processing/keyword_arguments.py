"""Keyword arguments that nobody reads: refused by name, with the one that was meant."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


def refuse_unknown_keywords(
    given: Iterable[str], known: Iterable[str], callee: str, advice: Mapping[str, str] | None = None
) -> None:
    """Raises an error if a keyword is not known.

    Args:
        given: The keywords of a call.
        known: Those that the callee reads.
        callee: What was called, for the message.
        advice: For keywords that other libraries take, what to do here instead.

    Raises:
        TypeError: A keyword is unknown; the message names it and the nearest known one, or all of them.
    """
    known = sorted(known)
    for name in given:
        if name in known:
            continue
        if advice and name in advice:
            raise TypeError(f"{callee} takes no {name!r}: {advice[name]}")
        close = get_close_matches(name, known, n=1)
        right = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
        raise TypeError(f"{callee} takes no {name!r}; {right}")
