"""Where in a text each of its tokens comes from, and which tokens make up which word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from video_colbert.processing.query_tokens import QueryWord, word_spans

Span = tuple[int, int]
"""From which letter of a text to which, the last one excluded; (0, 0) for none."""


def token_spans(tokenizer: Any, prompt: str, text: str, ids: Sequence[int]) -> tuple[list[Span], bool]:
    """Where each token of an encoded text comes from, and whether the text is longer than its tokens.

    Args:
        tokenizer: what made the tokens.
        prompt: what the model puts before the text.
        text: the text.
        ids: its tokens as the model saw them, with markers, padding and expansion.

    Returns:
        A span for each of `ids`; (0, 0) for what is not of the text, and for all where the tokenizer cannot tell.
        And whether the text was cut; False where the tokenizer cannot tell.
    """
    none = (0, 0)
    if not getattr(tokenizer, "is_fast", False):
        return [none] * len(ids), False
    whole = tokenizer(prompt + text, return_offsets_mapping=True, verbose=False)
    spans = []
    for number, token in enumerate(ids):
        if number >= len(whole["input_ids"]) or whole["input_ids"][number] != token:
            break
        start, end = whole["offset_mapping"][number]
        spans.append((start - len(prompt), end - len(prompt)) if end > start >= len(prompt) else none)
    return spans + [none] * (len(ids) - len(spans)), len(whole["input_ids"]) > len(ids)


def words_of_tokens(text: str, spans: Sequence[Span]) -> list[QueryWord]:
    """The words of a text with the positions of their tokens; a word that was cut off has none.

    Args:
        text: the text.
        spans: of its tokens.

    Example:
        >>> words_of_tokens("red cat's", [(0, 0), (0, 3), (4, 7), (7, 9), (0, 0)])
        [QueryWord(word='red', token_positions=[1]), QueryWord(word="cat's", token_positions=[2, 3])]
    """
    words = []
    for first, last in word_spans(text):
        positions = [number for number, (start, end) in enumerate(spans) if start < min(end, last) and end > first]
        words.append(QueryWord(text[first:last], positions))
    return words
