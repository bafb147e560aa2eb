from __future__ import annotations

import pytest

from video_colbert.index.passages.keyword_words import asked_words, keyword_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop: Z\u00fcrich, 1,000", ["don", "t", "stop", "zurich", "1", "000"]),
        ("na\u00efve caf\u00e9 Stra\u00dfe \u0141\u00f3d\u017a", ["naive", "cafe", "strasse", "lodz"]),
        ("foo_bar a.b@c.de", ["foo", "bar", "a", "b", "c", "de"]),
        # Marks of other scripts are no accents.
        ("\u0928\u092e\u0938\u094d\u0924\u0947", ["\u0928\u092e\u0938\u094d\u0924\u0947"]),
        ("\u6771\u4eac\u30bf\u30ef\u30fc2", ["\u6771\u4eac", "\u4eac\u30bf", "\u30bf\u30ef", "\u30ef\u30fc", "2"]),
        ("\u9ad8", ["\u9ad8"]),
        (" ... ", []),
    ],
)
def test_words_are_runs_of_letters_and_numbers_without_case_and_accents(text: str, words: list[str]) -> None:
    assert keyword_words(text) == words


def test_what_is_quoted_is_asked_for_by_its_words_and_as_it_is() -> None:
    assert asked_words('red "The river" "..." dog') == (["red", "dog", "the", "river"], [["the", "river"]])
    # A quotation mark alone quotes nothing.
    assert asked_words('red "river') == (["red", "river"], [])
