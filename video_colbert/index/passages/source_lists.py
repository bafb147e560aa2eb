"""What each source of an index finds for a text, and how its wrong hits score: what fusions are fitted on."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from video_colbert.index.fusion.background import MadeQuery, SourceBackground, fit_backgrounds
from video_colbert.index.passages.asked_sources import choose_sources

if TYPE_CHECKING:
    from video_colbert.index.index import Index

_LIST_LENGTH = 100
_MADE_QUERIES = 64
# About as long as what people ask.
_MADE_WORDS = 8


def source_lists(
    index: Index, texts: Sequence[str], sources: Collection[str] | None = None
) -> list[dict[str, list[tuple[str, float]]]]:
    """What each source finds by itself.

    Args:
        index: an index with its encoder, if pictures are asked.
        texts: queries.
        sources: names of sources; None for all that the index holds.

    Returns:
        For each text, by source the paths of at most a hundred videos with their scores there, the best first.

    Raises:
        VideoColBERTError: the index cannot be read, or a model cannot be loaded.
    """
    lists: list[dict[str, list[tuple[str, float]]]] = [{} for _ in texts]
    for source in choose_sources(index.stored, sources):
        found = index.search(list(texts), sources=[source], top_k=_LIST_LENGTH)
        for of_text, hits in zip(lists, found, strict=True):
            of_text[source] = [(hit.video, hit.score) for hit in hits]
    return lists


def measure_backgrounds(index: Index, *, seed: int = 0) -> Mapping[str, SourceBackground]:
    """How wrong hits of each source score: 64 stretches of eight words of what was read are asked as queries.

    Args:
        index: an index with its encoder, if it holds pictures.
        seed: seed of the choice.

    Returns:
        By source; none of an index without passages.

    Raises:
        VideoColBERTError: as `source_lists`.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    chosen: list[tuple[str, str, str]] = []
    seen = 0
    for reading in index.stored.readings.read():
        for passage in reading.passages:
            seen += 1
            # Each passage is as likely to be among the chosen, however many there are (Vitter, 1985).
            place = seen - 1 if seen <= _MADE_QUERIES else chance.randrange(seen)
            if place < _MADE_QUERIES:
                text = _stretch(passage.text, chance)
                chosen[place : place + 1] = [(text, passage.source, reading.digest)]
    if not chosen:
        return {}
    videos = index.stored.videos_of_contents({content for _, _, content in chosen})
    lists = source_lists(index, [text for text, _, _ in chosen])
    made = [
        MadeQuery(of_text, source, videos[content].path if content in videos else content)
        for of_text, (_, source, content) in zip(lists, chosen, strict=True)
    ]
    return fit_backgrounds(made)


def note_backgrounds(index: Index) -> None:
    """Measures how wrong hits of each source score, and keeps it in the index's notes, beside what else is there.

    Raises:
        VideoColBERTError: as `source_lists`, or the index cannot be written.
    """
    noted = index.stored.notes
    fusion = dataclasses.replace(noted.fusion, backgrounds=measure_backgrounds(index))
    if fusion != noted.fusion:
        index.stored.set_notes(dataclasses.replace(noted, fusion=fusion))


def _stretch(text: str, chance: random.Random) -> str:
    words = text.split()
    first = chance.randrange(max(len(words) - _MADE_WORDS, 0) + 1)
    return " ".join(words[first : first + _MADE_WORDS])
