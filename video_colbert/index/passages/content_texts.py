"""All that an index holds of what was read of a content: the readings, and the passages made of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from video_colbert.index.passages.passage_store import PassageStore
from video_colbert.index.passages.reading_store import ReadingStore


@dataclass(frozen=True)
class ContentTexts:
    """Readings and passages, which leave together.

    Attributes:
        readings: what was read.
        passages: what is searched.
    """

    readings: ReadingStore
    passages: PassageStore

    def remove(self, contents: Collection[str]) -> None:
        """Removes what there is of some contents.

        Raises:
            IndexStoreError: the index cannot be written or reached.
        """
        if contents:
            self.passages.remove_contents(contents)
            self.readings.remove(contents)

    def forget(self, contents: Collection[str]) -> None:
        """Removes what there is of some contents, from earlier versions too.

        Args:
            contents: as of `ReadingStore.forget`.

        Raises:
            IndexStoreError: the index cannot be written or reached.
        """
        self.passages.forget_contents(contents)
        self.readings.forget(contents)

    def remove_others(self, contents: Collection[str]) -> None:
        """Removes what there is of contents that are not among some, but for texts that belong to no video.

        Raises:
            IndexStoreError: the index cannot be written or reached.
        """
        known = {content for content, source in self.readings.known() if source != "document"}
        self.remove(known - set(contents))
