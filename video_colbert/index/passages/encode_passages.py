"""Passages of an index made anew from what was read: only what is new is encoded, and nothing is read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from video_colbert.index.passages.passage_store import PassageStore, StoredPassage
from video_colbert.index.passages.reading_store import Reading, ReadingStore
from video_colbert.text.passages import Passage

if TYPE_CHECKING:
    from video_colbert.text.text_model import TextModel

# Passages of one commit: what a kill may cost.
_A_COMMIT = 512


@dataclass(frozen=True)
class EncodedPassages:
    """What became of an index's passages.

    Attributes:
        added: passages that were encoded.
        removed: passages that were removed, since their content was read anew or is gone.
        total: passages that the index holds.
        cut: how many of the added ones are longer than the text model takes; their ends are in no token.
    """

    added: int
    removed: int
    total: int
    cut: int = 0


def encode_passages(
    passages: PassageStore,
    readings: ReadingStore,
    model: TextModel,
    *,
    batch_size: int = 32,
    progress: Callable[[int], None] | None = None,
) -> EncodedPassages:
    """Brings an index's passages in line with its readings, in the tokens of a text model.

    What is there by the same model stays; by another model, all are encoded again from their texts. Run again after a
    kill, it goes on where it stopped.

    Args:
        passages: where they are kept.
        readings: what was read.
        model: makes the tokens.
        batch_size: texts that go through the model together, at most.
        progress: told the number of passages that were encoded so far.

    Raises:
        IndexStoreError: the index cannot be read or written.
    """
    passages.prepare(model.reference)
    known = passages.keys()
    wanted: set[str] = set()
    added = cut = 0

    def new() -> Iterator[StoredPassage]:
        for stored in stored_passages(readings.read()):
            if stored.key not in wanted:
                wanted.add(stored.key)
                if stored.key not in known:
                    yield stored

    waiting = new()
    while part := list(islice(waiting, _A_COMMIT)):
        encoded = model.encode_passages([stored.passage.text for stored in part], batch_size=batch_size)
        passages.add(list(zip(part, encoded, strict=True)))
        added += len(part)
        cut += sum(text.is_cut for text in encoded)
        if progress is not None:
            progress(added)
    stale = known - wanted
    passages.remove(stale)
    if added or stale:
        passages.finish()
    return EncodedPassages(added, len(stale), len(wanted), cut)


def count_pending(passages: PassageStore, readings: ReadingStore, *, anew: bool = False) -> int:
    """How many passages are to be encoded or removed.

    Args:
        passages: what is kept.
        readings: what was read.
        anew: whether all are to be encoded, as by another text model.

    Raises:
        IndexStoreError: the index cannot be read.
    """
    wanted = {stored.key for stored in stored_passages(readings.read())}
    return len(wanted) if anew else len(wanted ^ passages.keys())


def stored_passages(readings: Iterable[Reading]) -> Iterator[StoredPassage]:
    """The passages of readings as they are stored; those without text are left."""
    for reading in readings:
        for number, passage in enumerate(reading.passages):
            if passage.text.strip():
                bare = Passage(passage.source, passage.text, passage.start, passage.end)
                yield StoredPassage(reading.digest, number, bare)
