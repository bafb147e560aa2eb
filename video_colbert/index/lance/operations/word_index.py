"""The index of the words of a text column: how it is made, and how it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lancedb.index import FTS
from lancedb.query import BooleanQuery, FullTextQuery, MatchQuery, Occur, PhraseQuery
from lancedb.table import Table

WORD_INDEX = FTS(
    base_tokenizer="icu/split",
    with_position=True,
    stem=False,
    remove_stop_words=False,
    ascii_folding=True,
    max_token_length=1000,
)
"""Of any language, also of those that put no spaces between words, by the dictionaries of ICU: words as they are
written, in lower case and without accents, with their places for phrases."""


def word_indexes(table: Table, column: str) -> list[str]:
    """The names of the indexes of a column's words."""
    return [each.name for each in table.list_indices() if each.columns == [column]]


def word_query(column: str, words: str, phrases: Sequence[str]) -> FullTextQuery:
    """A query for rows with all of some phrases and any of some words.

    Args:
        column: the text column.
        words: any number of words.
        phrases: runs of words that must be there as they are; there are some if there are no words.
    """
    # Their defaults are unknown to the type checker.
    match: Any = MatchQuery
    phrase: Any = PhraseQuery
    if not phrases:
        query: FullTextQuery = match(words, column)
        return query
    parts = [(Occur.MUST, phrase(each, column)) for each in phrases]
    if words:
        parts.append((Occur.SHOULD, match(words, column)))
    return BooleanQuery(parts)


def index_words(table: Table, column: str, *, is_updated: bool = True) -> None:
    """Makes the index of a column's words, or brings it up to date.

    Args:
        table: at its latest version.
        column: the text column.
        is_updated: whether an index that is there is brought up to date.
    """
    if not word_indexes(table, column):
        table.create_index(column, config=WORD_INDEX)
    elif is_updated:
        # Versions stay as long as those that other commits make.
        table.optimize()


def drop_words(table: Table, column: str) -> None:
    """Deletes the index of a column's words, if there is one; files of it stay until earlier versions go."""
    for name in word_indexes(table, column):
        table.drop_index(name)
