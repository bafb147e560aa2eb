"""Readings: what was read of a file's content, kept apart from how it is encoded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from video_colbert.text.passages import Passage, Source


@dataclass(frozen=True)
class Reading:
    """What a reader found in a file's content.

    Attributes:
        digest: SHA-256 of the content, in hexadecimal.
        source: what was read.
        settings: of the reader, as `PassageReader.settings`.
        passages: in the order of their times.
        problem: what could not be read, in one sentence without the file's name; None where all was.

    Example:
        >>> passage = Passage("speech", "Leaves are green.", 0.0, 1.5)
        >>> Reading("0123", "speech", "whisper", (passage,)).problem is None
        True
    """

    digest: str
    source: Source
    settings: str
    passages: tuple[Passage, ...]
    problem: str | None = None


class ReadingStore(Protocol):
    """Keeps readings, at most one of a content and a source."""

    def known(self) -> Mapping[tuple[str, Source], str]:
        """The settings of what was read, by digest and source, as of the latest commit.

        Raises:
            IndexStoreError: the store cannot be read or reached.
        """
        ...

    def problems(self) -> Mapping[tuple[str, Source], str]:
        """What could not be read, by digest and source, as of the latest commit.

        Raises:
            IndexStoreError: the store cannot be read or reached.
        """
        ...

    def keep(self, readings: Sequence[Reading]) -> None:
        """Keeps readings in one commit, in place of what was kept of the same contents and sources.

        Args:
            readings: of equal digest and source, the last one counts.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def read(self, digests: Collection[str] | None = None) -> Iterable[Reading]:
        """Reads what was kept, in any order.

        Args:
            digests: only readings of these contents; those of which there are none are passed over. None for all.

        Raises:
            IndexStoreError: the store cannot be read or reached, or is damaged.
        """
        ...

    def remove(self, digests: Collection[str]) -> None:
        """Removes all readings of some contents; those of which there are none are passed over.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def forget(self, digests: Collection[str]) -> None:
        """Removes all readings of some contents, from earlier versions of the store too.

        Args:
            digests: of the contents. Without any, what readings that were removed or replaced before have left goes.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...
