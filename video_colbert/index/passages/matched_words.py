"""The words of a passage that match a query, and when each is said."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from video_colbert.encoding.passes.phrases import is_function_word
from video_colbert.encoding.source_hits import MatchedWord
from video_colbert.index.passages.keyword_words import UNSPACED
from video_colbert.text.passages import TimedWord

if TYPE_CHECKING:
    from torch import Tensor

    from video_colbert.encoding.encoded import QueryBags


def words_by_tokens(
    queries: QueryBags, query: int, text: str, embeds: Tensor, letters: Sequence[int]
) -> list[MatchedWord]:
    """The words that the query's tokens match best, and those that stand in the query; function words are left out.

    Args:
        queries: of the text model.
        query: which of them.
        text: the passage.
        embeds: [tokens, D] its tokens.
        letters: for each token with which letter of the text it begins; -1 for none.

    Returns:
        The words in the order of the text, each once.
    """
    from video_colbert.processing.query_tokens import word_spans

    spans = [(start, end) for start, end in word_spans(text) if not is_function_word(text[start:end])]
    word_of_token = [
        next((n for n, (start, end) in enumerate(spans) if start <= letter < end), None) for letter in letters
    ]
    asked = [token for token, word in enumerate(word_of_token) if word is not None]
    found: dict[int, float] = {}
    for word in queries.words[query]:
        if asked and word.token_positions and not is_function_word(word.word):
            vectors = queries.embeds[query, word.token_positions].float().cpu()
            similarities, best = (vectors @ embeds[asked].float().T).max(dim=1)
            for similarity, token in zip(similarities.tolist(), best.tolist(), strict=True):
                number = word_of_token[asked[token]]
                assert number is not None  # noqa: S101 - by the choice of `asked`
                found[number] = max(similarity, found.get(number, similarity))
    same = {_plain(word.word) for word in queries.words[query]}
    found |= {number: 1.0 for number, (start, end) in enumerate(spans) if _plain(text[start:end]) in same}
    return [MatchedWord(text[slice(*spans[n])], *spans[n], found[n]) for n in sorted(found)]


def words_by_letters(query: str, text: str) -> list[MatchedWord]:
    """The words of a text that stand in a query too, whatever their case and accents, function words left out.

    Function words count where nothing else is asked, as of "The Who".

    Where a script puts no spaces between words, these are the longest stretches of two letters or more, or of all that
    is asked.

    Args:
        query: the query.
        text: the passage.

    Example:
        >>> [word.word for word in words_by_letters("zurich 1742", "Zürich, in 1742")]
        ['Zürich', '1742']
    """
    from video_colbert.processing.query_tokens import word_spans

    spaced = UNSPACED.sub(lambda match: " " * len(match.group()), query)
    words = [query[start:end] for start, end in word_spans(spaced)]
    asked = {_plain(word) for word in words if not is_function_word(word)} or {_plain(word) for word in words}
    spaced = UNSPACED.sub(lambda match: " " * len(match.group()), text)
    found = [(start, end) for start, end in word_spans(spaced) if _plain(text[start:end]) in asked]
    runs = [match.group() for match in UNSPACED.finditer(query)]
    found += [span for match in UNSPACED.finditer(text) for span in _shared_stretches(match, runs)]
    return [MatchedWord(text[start:end], start, end) for start, end in sorted(found)]


def with_times(matched: Sequence[MatchedWord], text: str, words: Sequence[TimedWord]) -> tuple[MatchedWord, ...]:
    """Matched words with the times at which they are said.

    Args:
        matched: words of a text.
        text: the text.
        words: its words with their times, where they are known.
    """
    places: list[tuple[int, int, float]] = []
    place = 0
    for word in words:
        start = text.find(word.text, place)
        if start < 0:
            continue
        place = start + len(word.text)
        places.append((start, place, word.start))
    return tuple(
        dataclasses.replace(
            each, time=next((time for start, end, time in places if start < each.end and end > each.start), None)
        )
        for each in matched
    )


def _shared_stretches(match: re.Match[str], runs: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From which letter to which a stretch of a text stands in one of some runs of letters too, the longest first."""
    place = match.start()
    while place < match.end():
        end = max((_shared_end(match.string, place, match.end(), run) for run in runs), default=place)
        if end > place:
            yield place, end
        place = max(end, place + 1)


def _shared_end(text: str, start: int, end: int, run: str) -> int:
    """Where the longest stretch of a text from `start` on that stands in a run ends; `start` where it is too short."""
    least = min(2, len(run))
    longest = start
    while longest < end and text[start : longest + 1] in run:
        longest += 1
    return longest if longest - start >= least else start


def _plain(word: str) -> str:
    """A word without case and accents."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
