"""Captions to token ids: cutting, sentence windows, and which tokens make up which word."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

# A sentence ends at its mark and the space behind it (Chinese and Japanese marks have none), or at a line's end.
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|\s*\n\s*")  # noqa: RUF001 # full-width marks are meant
# Letters and digits; what stands between two of them (man's, T-shirt) does not end a word.
_WORD = re.compile(r"\w+(?:['’\-]\w+)*")  # noqa: RUF001 # the typographic apostrophe is meant
# SentencePiece marks the beginning of a word with this.
_WORD_START = "▁"


@dataclass(frozen=True)
class QueryWord:
    """A word of a query.

    Attributes:
        word: The word, as the caption or, where the tokenizer cannot tell, as the tokens spell it.
        token_positions: Its tokens' positions among the query's Lq tokens, increasing.
    """

    word: str
    token_positions: list[int]


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokenizes texts in full, special tokens included.

    Args:
        tokenizer: A `transformers` tokenizer.
        texts: Captions.

    Returns:
        Ids of each text, neither cut nor padded.
    """
    # verbose=False: that a text is longer than the tower is said by the caller, once.
    encoded = tokenizer(list(texts), padding=False, truncation=False, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def cut_ids(tokenizer: PreTrainedTokenizerBase, ids: list[int], query_length: int) -> list[int]:
    """Cuts a query to its length, keeping the special tokens at its end.

    CLIP's pooled vector is that of its end-of-text token, so a cut caption keeps it.

    Args:
        tokenizer: What made `ids`.
        ids: A query in full.
        query_length: The most tokens to keep.

    Returns:
        `ids` itself where it is short enough.
    """
    if len(ids) <= query_length:
        return ids
    closing = _num_closing_tokens(tokenizer, ids)
    return ids[: query_length - closing] + ids[len(ids) - closing :]


def sentence_windows(tokenizer: PreTrainedTokenizerBase, text: str, query_length: int) -> list[str]:
    """Splits a caption into pieces that each fit the query length, so that nothing is cut.

    Each sentence is a piece of its own, however short: text towers were trained on captions of about a
    sentence. A sentence that is too long is split between words, each piece as long as fits.

    Args:
        tokenizer: A `transformers` tokenizer.
        text: A caption of any length.
        query_length: The most tokens of a piece, special tokens included.

    Returns:
        At least one piece; only white space between pieces is lost.
    """
    sentences = [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]
    return [piece for sentence in sentences or [""] for piece in _fitting_pieces(tokenizer, sentence, query_length)]


def query_words(tokenizer: PreTrainedTokenizerBase, text: str, query_length: int) -> list[QueryWord]:
    """Finds the tokens of each word of a query that is cut to its length.

    Special tokens, punctuation and symbols belong to no word, and a word that was cut off is left out.

    Args:
        tokenizer: A `transformers` tokenizer. A fast one gives the caption's own words; a slow one (SigLIP's
            SentencePiece) gives what its pieces spell.
        text: A caption.
        query_length: Tokens of the query.

    Returns:
        Words in their order, each with at least one token.
    """
    if tokenizer.is_fast:
        encoded = tokenizer(text, padding=False, truncation=False, verbose=False, return_offsets_mapping=True)
        words = _words_by_offsets(text, encoded["offset_mapping"])
        ids = list(encoded["input_ids"])
    else:
        ids = token_ids(tokenizer, [text])[0]
        words = _words_by_pieces(tokenizer, text, ids)
    kept = min(len(ids), query_length) - _num_closing_tokens(tokenizer, ids)
    words = [QueryWord(word.word, [p for p in word.token_positions if p < kept]) for word in words]
    return [word for word in words if word.token_positions]


def _num_closing_tokens(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> int:
    """How many special tokens the tokenizer puts behind every text."""
    template = token_ids(tokenizer, [""])[0]
    special = set(tokenizer.all_special_ids)
    closing = 0
    while closing < min(len(template), len(ids)):
        token = template[-1 - closing]
        if token != ids[-1 - closing] or token not in special:
            break
        closing += 1
    return closing


def _fitting_pieces(tokenizer: PreTrainedTokenizerBase, text: str, query_length: int) -> list[str]:
    if len(text) < 2 or _fits(tokenizer, text, query_length):
        return [text]
    words = text.split()
    if len(words) == 1:
        half = len(text) // 2
        return [
            piece for part in (text[:half], text[half:]) for piece in _fitting_pieces(tokenizer, part, query_length)
        ]
    pieces = [words[0]]
    for word in words[1:]:
        longer = f"{pieces[-1]} {word}"
        if _fits(tokenizer, longer, query_length):
            pieces[-1] = longer
        else:
            pieces.append(word)
    return [fitting for piece in pieces for fitting in _fitting_pieces(tokenizer, piece, query_length)]


def _fits(tokenizer: PreTrainedTokenizerBase, text: str, query_length: int) -> bool:
    return len(token_ids(tokenizer, [text])[0]) <= query_length


def _words_by_offsets(text: str, offsets: list[tuple[int, int]]) -> list[QueryWord]:
    spans = [match.span() for match in _WORD.finditer(text)]
    positions: list[list[int]] = [[] for _ in spans]
    for position, (start, end) in enumerate(offsets):
        # A token may carry the space before its word.
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        for word, (word_start, word_end) in enumerate(spans):
            if word_start <= first < word_end and first < end:
                positions[word].append(position)
    return [
        QueryWord(text[start:end], tokens) for (start, end), tokens in zip(spans, positions, strict=True) if tokens
    ]


def _words_by_pieces(tokenizer: PreTrainedTokenizerBase, text: str, ids: list[int]) -> list[QueryWord]:
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    words: list[QueryWord] = []
    for position, (token, piece) in enumerate(zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)):
        if token in special:
            continue
        if piece.startswith(_WORD_START) or not words:
            words.append(QueryWord("", []))
        spelled = words[-1].word + piece.removeprefix(_WORD_START)
        words[-1] = QueryWord(spelled, [*words[-1].token_positions, position])
    # SigLIP's tokenizer drops punctuation and then splits at spaces, so that the words can be named as the
    # caption spells them; where that does not add up, the pieces' own spelling stands.
    written = [word for word in text.split() if word.strip(string.punctuation)]
    if len(written) == len(words):
        words = [
            QueryWord(name.strip(string.punctuation), word.token_positions)
            for name, word in zip(written, words, strict=True)
        ]
    return [word for word in words if _WORD.search(word.word)]
