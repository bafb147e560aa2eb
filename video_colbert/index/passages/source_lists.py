"""What each source of an index finds for a text, and how its wrong hits score: what fusions are fitted on."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from video_colbert.errors import IndexStoreError
from video_colbert.index.fusion.background import BackgroundsByLength, MadeQuery, fit_backgrounds_by_length
from video_colbert.index.passages.asked_sources import choose_sources, text_model_of
from video_colbert.index.passages.source_search import LIST_LENGTH, VIDEO, SourceQueries, ranked_lists
from video_colbert.text.passages import SOURCES

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import EncodedQueries
    from video_colbert.index.index import Index
    from video_colbert.index.indexed_video import IndexedVideo

# The tokens of all that is found for them are in memory.
_TEXTS_AT_ONCE = 32
_MADE_QUERIES = 32
# From a name to about as much as people ask.
_MADE_WORDS = (1, 2, 4, 8)


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
    chosen = choose_sources(index.stored, sources)
    lists: list[dict[str, list[tuple[str, float]]]] = []
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        part = texts[first : first + _TEXTS_AT_ONCE]
        of_pictures = None
        if VIDEO in chosen:
            if index.encoder is None:
                raise IndexStoreError(f"the index in {index.location} was opened without the encoder of its pictures")
            of_pictures = index.encoder.encode_queries(list(part))
        queries = source_queries(index, part, of_pictures, chosen)
        lists += ranked_lists(index.stored, queries, chosen, count=LIST_LENGTH)
    return lists


def source_queries(
    index: Index, texts: Sequence[str], of_pictures: EncodedQueries | None, sources: Collection[str]
) -> SourceQueries:
    """Texts as some sources of an index take them.

    Args:
        index: the index.
        texts: queries.
        of_pictures: what its encoder makes of them; None where pictures are not asked.
        sources: names of sources.

    Raises:
        VideoColBERTError: the text model cannot be loaded.
    """
    if not set(SOURCES) & set(sources):
        return SourceQueries(texts, of_pictures, None, [1.0] * len(texts))
    index.text_model = text_model_of(index.stored, index.text_model)
    of_passages = index.text_model.encode_queries(texts)
    return SourceQueries(texts, of_pictures, of_passages, index.text_model.score_factors(of_passages))


def measure_backgrounds(index: Index, *, seed: int = 0) -> Mapping[str, BackgroundsByLength]:
    """How wrong hits of each source score: stretches of what was read are asked as queries, 32 of each length.

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
                chosen[place : place + 1] = [(passage.text, passage.source, reading.digest)]
    if not chosen:
        return {}
    from video_colbert.processing.query_tokens import cut_captions_untold

    videos = index.stored.videos_of_contents({content for _, _, content in chosen})
    # Nobody asked these texts: of one that is cut, its beginning does as well.
    with nullcontext() if index.encoder is None else cut_captions_untold(index.encoder.processor):
        return fit_backgrounds_by_length(_made_queries(index, chosen, videos, chance))


def _made_queries(
    index: Index,
    chosen: Sequence[tuple[str, str, str]],
    videos: Mapping[str, IndexedVideo],
    chance: random.Random,
) -> dict[float, list[MadeQuery]]:
    """By mean length in letters, what stretches of the chosen texts find.

    Args:
        index: the index.
        chosen: texts with their source and content.
        videos: by content.
        chance: that chooses the stretches.
    """
    made: dict[float, list[MadeQuery]] = {}
    for words in _MADE_WORDS:
        texts = [_stretch(text, words, chance) for text, _, _ in chosen]
        # Texts that are shorter anyway are of one length with those before.
        if (length := sum(map(len, texts)) / len(texts)) <= max(made, default=0.0):
            continue
        made[length] = [
            MadeQuery(of_text, source, videos[content].path if content in videos else content)
            for of_text, (_, source, content) in zip(source_lists(index, texts), chosen, strict=True)
        ]
    return made


def note_backgrounds(index: Index) -> None:
    """Measures how wrong hits of each source score, and keeps it in the index's notes, beside what else is there.

    Raises:
        VideoColBERTError: as `source_lists`, or the index cannot be written.
    """
    noted = index.stored.notes
    fusion = dataclasses.replace(noted.fusion, backgrounds={}, lengths=measure_backgrounds(index))
    if fusion != noted.fusion:
        index.stored.set_notes(dataclasses.replace(noted, fusion=fusion))


def _stretch(text: str, number: int, chance: random.Random) -> str:
    words = text.split()
    first = chance.randrange(max(len(words) - number, 0) + 1)
    return " ".join(words[first : first + number])
