"""How far a long run is: bars in a terminal and in a notebook, and lines elsewhere for what may take hours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from tqdm.auto import tqdm

from video_colbert.console import write_notice

# A notebook's bar is no text, so whether standard error is a terminal does not matter there.
_IN_NOTEBOOK = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)

Follower: TypeAlias = Callable[[float, int, str], None]
"""Is told of a run how many pieces are done, of how many, and the same in words."""

_FOLLOWER: ContextVar[Follower | None] = ContextVar("follower", default=None)

_BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


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


@contextmanager
def followed_by(follower: Follower) -> Iterator[None]:
    """Has a function told of the progress of the runs of this context, which then draw no bar and write no line.

    Args:
        follower: is called in the thread of the run, each time that something is done.

    Example:
        >>> with followed_by(lambda done, total, text: print(f"{done:g} of {total}: {text}")):
        ...     with RunProgress("indexing", total=2) as progress:
        ...         progress.update(1, "1/2 files")
        1 of 2: 1/2 files
    """
    earlier = _FOLLOWER.set(follower)
    try:
        yield
    finally:
        _FOLLOWER.reset(earlier)


class RunProgress:
    """The progress of a run whose pieces may take long: a bar in a terminal or notebook, else a line now and then.

    A terminal's bar is drawn anew every second, so that one sees time pass while a long piece is worked on.

    Args:
        name: of what is done, such as "indexing".
        total: pieces of work.
        seconds_between_lines: how long to wait before a line, where there is no bar.
        **options: as of `tqdm`.

    Example:
        >>> with RunProgress("indexing", total=2) as progress:
        ...     progress.update(0.5, "0/2 files, 3/6 windows")
    """

    def __init__(self, name: str, total: int, *, seconds_between_lines: float = 10.0, **options: Any) -> None:
        self._name = name
        self._text = ""
        self._total = total
        self._follower = _FOLLOWER.get()
        self._start = time.monotonic()
        self._seconds_between_lines = seconds_between_lines
        is_shown = self._follower is None
        self._bar = progress_bar(
            total=total, is_shown=is_shown, desc=name, bar_format=_BAR_FORMAT, miniters=0, **options
        )
        self._has_ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> RunProgress:
        # Drawn from another thread, a notebook's bar would go to the output of whichever cell runs by then.
        if self._follower is None and not (_IN_NOTEBOOK and not self._bar.disable):
            self._ticker.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._has_ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._bar.close()

    def update(self, done: float, text: str) -> None:
        """Says how far it is.

        Args:
            done: pieces of work, and parts of those in work.
            text: the same in words.
        """
        self._text = text
        if self._follower is not None:
            self._follower(done, self._total, text)
        if not self._bar.disable:
            self._bar.set_description_str(f"{self._name} {text}", refresh=False)
            self._bar.update(done - self._bar.n)

    def _tick(self) -> None:
        if not self._bar.disable:
            while not self._has_ended.wait(1.0):
                self._bar.refresh()
            return
        while not self._has_ended.wait(self._seconds_between_lines):
            elapsed = tqdm.format_interval(time.monotonic() - self._start)
            write_notice(" ".join(filter(None, (self._name, self._text, f"({elapsed})"))))
