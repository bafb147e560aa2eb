"""The words of a text as a keyword search compares them, where the index has no words of its own.

They are those of the Lance index's full-text search: runs of letters and numbers, in lower case and without accents.
That one knows the words of scripts that put no spaces between them by dictionaries; here two letters at a time stand
for them.
"""

from __future__ import annotations

import re
import unicodedata

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)
"""A run of letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""

# Latin letters that Unicode takes for no letter with an accent.
_FOLDED = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"})
_QUOTED = re.compile(r'"([^"]+)"')


def keyword_words(text: str) -> list[str]:
    """The words of a text, in its order.

    Example:
        >>> keyword_words("Don't stop: Zürich, 1,000")
        ['don', 't', 'stop', 'zurich', '1', '000']
    """
    folded = text.casefold().translate(_FOLDED)
    if not folded.isascii():
        folded = "".join(map(_without_accents, unicodedata.normalize("NFC", folded)))
    words: list[str] = []
    for run in "".join(letter if _is_of_word(letter) else " " for letter in folded).split():
        place = 0
        for match in UNSPACED.finditer(run):
            words += [run[place : match.start()]] if match.start() > place else []
            words += _pairs(match.group())
            place = match.end()
        words += [run[place:]] if place < len(run) else []
    return words


def split_quotes(query: str) -> tuple[str, list[str]]:
    """A query without what stands in double quotes, and that.

    Example:
        >>> split_quotes('red "the river"')
        ('red', ['the river'])
    """
    phrases = [phrase.strip() for phrase in _QUOTED.findall(query) if phrase.strip()]
    return _QUOTED.sub(" ", query).replace('"', " ").strip(), phrases


def asked_words(query: str) -> tuple[list[str], list[list[str]]]:
    """The words that a query asks for, and the phrases among them that must be there as they are.

    Args:
        query: words; what stands in double quotes is a phrase.

    Example:
        >>> asked_words('red "the river"')
        (['red', 'the', 'river'], [['the', 'river']])
    """
    plain, quoted = split_quotes(query)
    phrases = [words for phrase in quoted if (words := keyword_words(phrase))]
    words = keyword_words(plain)
    return words + [word for phrase in phrases for word in phrase], phrases


def _without_accents(letter: str) -> str:
    """A Latin letter without its accents; another one as it is, where marks are more than accents."""
    parts = unicodedata.normalize("NFKD", letter)
    first, marks = parts[0], parts[1:]
    return first if marks and first.isascii() and all(map(unicodedata.combining, marks)) else letter


def _is_of_word(letter: str) -> bool:
    return letter.isalnum() or (not letter.isascii() and unicodedata.category(letter).startswith("M"))


def _pairs(run: str) -> list[str]:
    return [run[first : first + 2] for first in range(max(len(run) - 1, 1))]
