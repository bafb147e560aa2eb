from __future__ import annotations

import pytest
import torch

from video_colbert.encoding.encoded import QueryBags
from video_colbert.encoding.source_hits import MatchedWord
from video_colbert.index.passages.matched_words import with_times, words_by_letters, words_by_tokens
from video_colbert.processing import QueryWord
from video_colbert.text.passages import TimedWord

TEXT = "The sun feeds green leaves, they say"
# Tokens of the passage: a marker, and one or two of each word.
LETTERS = (-1, 0, 4, 8, 14, 20, 23, 28, 33)


def query(*tokens: list[int]) -> QueryBags:
    """Words of one token each, which is like a token of the passage, with one of expansion behind."""
    embeds = torch.eye(len(LETTERS))[[place for [place] in tokens] + [0]][None]
    words = [QueryWord(word, [n]) for n, word in enumerate(("how", "plants", "grow")[: len(tokens)])]
    return QueryBags(embeds, torch.ones(1, len(tokens) + 1, dtype=torch.bool), [words])


def test_a_query_word_matches_the_word_of_its_best_token() -> None:
    # The second token of "leaves" and that of "sun"; what "how" matches is not marked.
    found = words_by_tokens(query([4], [6], [2]), 0, TEXT, torch.eye(len(LETTERS)), LETTERS)
    assert found == [MatchedWord("sun", 4, 7, 1.0), MatchedWord("leaves", 20, 26, 1.0)]


def test_function_words_and_markers_are_never_matched() -> None:
    # "plants" is like the marker, "grow" like "they": each takes the best of what remains.
    similar = torch.eye(len(LETTERS))
    similar[2, 0], similar[4, 7] = 0.5, 0.25
    found = words_by_tokens(query([3], [0], [7]), 0, TEXT, similar, LETTERS)
    assert found == [MatchedWord("sun", 4, 7, 0.5), MatchedWord("green", 14, 19, 0.25)]


def test_a_word_that_stands_in_the_query_is_marked_whatever_its_token_is_like() -> None:
    bags = query([4], [6])
    bags.words[0][1] = QueryWord("FEEDS", [1])  # type: ignore[index] # a list
    found = words_by_tokens(bags, 0, TEXT, torch.eye(len(LETTERS)), LETTERS)
    assert [word.word for word in found] == ["feeds", "leaves"]


def test_a_passage_without_words_of_its_own_matches_nothing() -> None:
    assert words_by_tokens(query([0], [1]), 0, "the of", torch.eye(3), (-1, 0, 4)) == []


def test_words_as_they_are_written_match_in_any_case_and_with_accents() -> None:
    found = words_by_letters('the "ZURICH" 42', "Zürich has 42 trams, zurichs 421")
    assert [(word.word, word.start) for word in found] == [("Zürich", 0), ("42", 11)]


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("हिन्दी समाचार", "यह हिन्दी पाठ है", "हिन्दी"),
        ("نصٌّ عَرَبِيٌّ", "هذا عَرَبِيٌّ هنا", "عَرَبِيٌّ"),
    ],
)
def test_words_with_vowel_signs_are_whole(query: str, text: str, found: str) -> None:
    [word] = words_by_letters(query, text)
    assert (word.word, text[word.start : word.end]) == (found, found)


def test_function_words_are_no_match_unless_nothing_else_is_asked() -> None:
    text = "The leaves of the tree are green"
    assert [word.word for word in words_by_letters("the colour of leaves", text)] == ["leaves"]
    assert [word.word for word in words_by_letters("of the", text)] == ["The", "of", "the"]


def test_times_are_those_of_the_words_at_the_same_letters() -> None:
    words = [TimedWord(word, float(n), n + 0.5) for n, word in enumerate(TEXT.split())]
    matched = [MatchedWord("leaves", 20, 26), MatchedWord("say", 33, 36)]
    assert [word.time for word in with_times(matched, TEXT, words)] == [4.0, 6.0]
    assert [word.time for word in with_times(matched, TEXT, words[:5])] == [4.0, None]
    assert with_times(matched, TEXT, []) == tuple(matched)


@pytest.mark.parametrize(
    ("query", "text", "words"),
    [
        ("光合作用 能量", "植物通过光合作用制造能量", ["光合作用", "能量"]),
        ("葉の光合作用", "図1: 光合作用、東京 2026", ["光合作用"]),
        ("水", "水車と水", ["水", "水"]),
        ("ร้อน", "ประเทศไทยมีอากาศร้อน", ["ร้อน"]),
        ("光 red", "光 and Red", ["光", "Red"]),
    ],
)
def test_words_of_scripts_without_spaces_are_found_within_their_sentences(
    query: str, text: str, words: list[str]
) -> None:
    found = words_by_letters(query, text)
    assert [word.word for word in found] == words
    assert [text[word.start : word.end] for word in found] == words
