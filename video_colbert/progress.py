"""Progress bars, which show on a terminal and in a notebook, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm

# A notebook's bar is no text, so whether standard error is a terminal does not matter there.
_IN_NOTEBOOK = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)


def progress_bar(iterable: Iterable[Any] | None = None, *, is_shown: bool = True, **options: Any) -> tqdm[Any]:
    """A bar of tqdm's that is hidden where nobody sees it.

    Args:
        iterable: what to iterate over; None for a bar that is updated by hand.
        is_shown: whether it is wanted at all.
        **options: as of `tqdm`: `total`, `desc`, `unit` and so on.

    Example:
        >>> [name for name in progress_bar(["a.mp4", "b.mp4"], desc="indexing", unit="file")]
        ['a.mp4', 'b.mp4']
    """
    hidden_off_terminals = False if _IN_NOTEBOOK else None
    return tqdm(iterable, disable=hidden_off_terminals if is_shown else True, **options)
