"""Passages as they are searched: their texts, and their tokens by a text model, derived from readings."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.text.passages import Passage, Source

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.text.text_model import EncodedText

_KEY_DIGITS = 16


@dataclass(frozen=True)
class StoredPassage:
    """A passage of a content.

    Attributes:
        content: digest of the file's content, or the name of a text of a plain collection.
        number: where it stands among the passages of its content and source, from 0.
        passage: the passage, without its words.
    """

    content: str
    number: int
    passage: Passage

    @property
    def key(self) -> str:
        """What it is known by: another text, time or place has another key."""
        facts = [self.passage.source, str(self.number), self.passage.text]
        facts += [f"{time:.3f}" if time is not None else "" for time in (self.passage.start, self.passage.end)]
        digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()
        return f"{self.content}/{digest[:_KEY_DIGITS]}"


@dataclass(frozen=True)
class FoundPassage:
    """A passage that a search found.

    Attributes:
        stored: the passage.
        score: mean of the best similarities of the query's tokens; of a keyword search, BM25.
        embeds: float16 [tokens, D], its tokens; None of a keyword search.
        letters: for each token with which letter of the text it begins; -1 for markers and special tokens.
    """

    stored: StoredPassage
    score: float
    embeds: Tensor | None = field(default=None, repr=False, compare=False)
    letters: tuple[int, ...] = ()


class PassageStore(Protocol):
    """Keeps passages with their texts and tokens, all by one text model."""

    def __len__(self) -> int:
        """The number of passages."""
        ...

    @property
    def model(self) -> ModelReference | None:
        """Which text model made the tokens; None where there are no passages.

        Raises:
            IndexStoreError: the store cannot be read or reached.
        """
        ...

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources of the passages."""
        ...

    def keys(self) -> set[str]:
        """The keys of all passages."""
        ...

    def prepare(self, model: ModelReference) -> None:
        """Makes ready for passages of a text model; those of another one go.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def add(self, passages: Sequence[tuple[StoredPassage, EncodedText]]) -> None:
        """Stores passages in one commit; those whose keys are there are left. `prepare` was called.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def finish(self) -> None:
        """Brings the index of keywords up to date; until then a search reads new passages one by one.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def remove(self, keys: Collection[str]) -> None:
        """Removes passages; keys that are not there are passed over.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def remove_contents(self, contents: Collection[str]) -> None:
        """Removes all passages of some contents.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def forget_contents(self, contents: Collection[str]) -> None:
        """Removes all passages of some contents, from earlier versions of the store too.

        Args:
            contents: of the passages. Without any, what was removed before goes.

        Raises:
            IndexStoreError: the store cannot be written or reached.
        """
        ...

    def search(
        self, queries: EncodedQueries, source: Source, *, count: int, contents: Collection[str] | None = None
    ) -> list[list[FoundPassage]]:
        """Finds the contents whose passages of one source fit each query best.

        Args:
            queries: of the text model.
            source: whose passages are asked.
            count: contents a query, at most.
            contents: among which the best are chosen; None for all.

        Returns:
            For each query the best passage of each content, best first.

        Raises:
            IndexStoreError: the store cannot be read or reached, or is damaged.
            ModelMismatchError: the queries are of another size.
        """
        ...

    def search_keywords(
        self,
        text: str,
        *,
        count: int,
        sources: Collection[Source] | None = None,
        contents: Collection[str] | None = None,
    ) -> list[FoundPassage]:
        """Finds the contents with passages that hold the words of a text, rare ones first (BM25).

        Args:
            text: words; what stands in double quotes must be there as it is.
            count: contents, at most.
            sources: whose passages are asked; None for all.
            contents: among which the best are chosen; None for all.

        Returns:
            The best passage of each content, best first.

        Raises:
            IndexStoreError: the store cannot be read or reached, or is damaged.
        """
        ...
