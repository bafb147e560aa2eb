"""Captions to token ids: cutting and what is said of it, sentence windows, and which tokens make up which word."""

import logging
import re
import string
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakSet

import torch
from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

# Not a field of a processor: one that has warned is the same processor, for `Dataset.map`'s cache and for pickle.
_WARNED: "WeakSet[object]" = WeakSet()
# A sentence ends at its mark and the space behind it (Chinese and Japanese marks have none), or at a line's end.
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|\s*\n\s*")  # noqa: RUF001 # full-width marks are meant
# Letters and digits; what stands between two of them (man's, T-shirt) does not end a word.
_WORD = re.compile(r"\w+(?:['’\-]\w+)*")  # noqa: RUF001 # the typographic apostrophe is meant
# With them, letters of Persian and of India's scripts join or not, within one word.
_JOINERS = "\u200c\u200d"
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


@dataclass(frozen=True)
class TokenizedText:
    """A text's tokens in full, neither cut nor padded.

    Attributes:
        text: The text.
        ids: Its tokens, special ones included.
        spans: Where in the text each token comes from; `None` from a tokenizer that cannot tell (a slow one).
        num_closing: How many special tokens the tokenizer puts behind every text.
        tokenizer: What made the tokens.
    """

    text: str
    ids: list[int]
    spans: list[tuple[int, int]] | None
    num_closing: int
    tokenizer: PreTrainedTokenizerBase

    def cut(self, length: int) -> list[int]:
        """Cuts the tokens to a length, keeping the special ones at the end.

        CLIP's pooled vector is that of its end-of-text token, so a cut caption keeps it.

        Args:
            length: The most tokens to keep.

        Returns:
            `ids` itself where it is short enough.
        """
        if len(self.ids) <= length:
            return self.ids
        return self.ids[: length - self.num_closing] + self.ids[len(self.ids) - self.num_closing :]

    def words(self, length: int) -> list[QueryWord]:
        """Finds the tokens of each word, once the text is cut to a length.

        Special tokens, punctuation and symbols belong to no word, and a word that was cut off is left out.

        Args:
            length: As `cut` takes it.

        Returns:
            Words in their order, each with at least one token. They are named as the text has them; where the
            tokenizer cannot tell (SigLIP's SentencePiece), as its pieces spell them.
        """
        words = _words_by_pieces(self) if self.spans is None else _words_by_spans(self.text, self.spans)
        kept = min(len(self.ids), length) - self.num_closing
        words = [QueryWord(word.word, [p for p in word.token_positions if p < kept]) for word in words]
        return [word for word in words if word.token_positions]


@dataclass(frozen=True)
class TokenizedQueries:
    """Captions as tokens, from which the model's inputs and the words come.

    Attributes:
        windows: The windows of each of B captions; one each unless captions are split into sentences.
        length: Tokens of a window, L.
    """

    windows: list[list[TokenizedText]]
    length: int

    @property
    def truncated(self) -> list[int]:
        """Indices of the captions that are longer than their windows and so are cut."""
        return [
            index
            for index, caption in enumerate(self.windows)
            if any(len(window.ids) > self.length for window in caption)
        ]

    @property
    def words(self) -> list[list[QueryWord]]:
        """The words of each caption; positions count its W L tokens, windows one after another."""
        return [
            [
                QueryWord(word.word, [window * self.length + position for position in word.token_positions])
                for window, tokenized in enumerate(caption)
                for word in tokenized.words(self.length)
            ]
            for caption in self.windows
        ]

    def padded(self, pad_token_id: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pads each window on the right.

        Args:
            pad_token_id: The token that fills a window.

        Returns:
            `[B, W, L]` int64 ids, and a mask that is 1 on the captions' own tokens, special ones included.
        """
        shape = (len(self.windows), max(map(len, self.windows)), self.length)
        input_ids = torch.full(shape, pad_token_id, dtype=torch.long)
        attention_mask = torch.zeros(shape, dtype=torch.long)
        for row, caption in enumerate(self.windows):
            for window, tokenized in enumerate(caption):
                kept = tokenized.cut(self.length)
                input_ids[row, window, : len(kept)] = torch.tensor(kept)
                attention_mask[row, window, : len(kept)] = 1
        return input_ids, attention_mask


def caption_list(texts: str | Sequence[str]) -> list[str]:
    """Lists the captions of a call, which may be one.

    Raises:
        ValueError: There is none.
        TypeError: One is no string.
    """
    captions = [texts] if isinstance(texts, str) else list(texts)
    if not captions:
        raise ValueError("text is an empty list; give at least one caption")
    for caption in captions:
        if not isinstance(caption, str):
            raise TypeError(f"a caption is a str, not {type(caption).__name__}: {caption!r}")
        if any("\ud800" <= character <= "\udfff" for character in caption):
            raise ValueError(f"a caption is Unicode text, which {caption!r} is not: it has half of a character")
    return captions


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], do_lower_case: bool = False
) -> list[TokenizedText]:
    """Tokenizes texts in full, special tokens included.

    Args:
        tokenizer: A `transformers` tokenizer.
        texts: Captions.
        do_lower_case: Whether they are lower-cased first.
    """
    tokenized = [text.lower() for text in texts] if do_lower_case else texts
    # The empty text shows which special tokens stand around every text.
    # verbose=False: that a text is longer than the tower is said by the caller, once.
    encoded = tokenizer(
        [*tokenized, ""], padding=False, truncation=False, verbose=False, return_offsets_mapping=tokenizer.is_fast
    )
    *ids, template = (list(of_text) for of_text in encoded["input_ids"])
    spans = encoded["offset_mapping"] if tokenizer.is_fast else [None] * len(ids)
    special = set(tokenizer.all_special_ids)
    return [
        # Words are named as the caption has them, but where a letter became two ("İ") and the spans are off.
        TokenizedText(
            text if len(text) == len(lower) else lower,
            of_text,
            of_spans,
            _num_closing_tokens(of_text, template, special),
            tokenizer,
        )
        for text, lower, of_text, of_spans in zip(texts, tokenized, ids, spans, strict=False)
    ]


def word_spans(text: str) -> list[tuple[int, int]]:
    """Finds the words of a text: its runs of letters and digits, with the vowel signs and accents upon them.

    Where a script puts no spaces between words, what stands between two marks of punctuation is one.

    Args:
        text: In any language.

    Returns:
        The first character of each word and the one behind it.
    """
    letters = ""
    for character in text:
        # To Python, vowel signs of Hindi and Thai are no part of a word; nor is the sign that colours a symbol.
        is_mark = not character.isascii() and (character in _JOINERS or unicodedata.category(character)[0] == "M")
        letters += "x" if is_mark and letters[-1:].isalnum() else character
    return [match.span() for match in _WORD.finditer(letters)]


def sentence_windows(
    tokenizer: PreTrainedTokenizerBase, text: str, query_length: int, do_lower_case: bool = False
) -> list[str]:
    """Splits a caption into pieces that each fit the query length, so that nothing is cut.

    Each sentence is a piece of its own, however short: text towers were trained on captions of about a
    sentence. A sentence that is too long is split between words, each piece as long as fits.

    Args:
        tokenizer: A `transformers` tokenizer.
        text: A caption of any length.
        query_length: The most tokens of a piece, special tokens included.
        do_lower_case: Whether pieces will be lower-cased.

    Returns:
        At least one piece; only white space between pieces is lost.
    """

    def fits(piece: str) -> bool:
        return len(tokenize(tokenizer, [piece], do_lower_case)[0].ids) <= query_length

    sentences = [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]
    return [piece for sentence in sentences or [""] for piece in _fitting_pieces(sentence, fits)]


def warn_of_cut_captions(processor: object, num_cut: int, num_captions: int, query_length: int) -> None:
    """Warns that captions were cut, unless that was said of the processor before.

    Args:
        processor: What cut them.
        num_cut: How many it cut.
        num_captions: Of how many.
        query_length: Tokens that it holds.
    """
    if processor in _WARNED:
        return
    _WARNED.add(processor)
    logger.warning(
        "%d of %d captions are longer than query_length=%d tokens and were cut; later ones will be cut without "
        "another warning. truncated_queries() finds them, query_windows='sentences' avoids it.",
        num_cut,
        num_captions,
        query_length,
    )


@contextmanager
def cut_captions_untold(processor: object) -> Iterator[None]:
    """A context in which a processor cuts captions without the warning, for texts that nobody asked.

    Args:
        processor: What cuts them; it warns of later ones as before.
    """
    has_warned = processor in _WARNED
    _WARNED.add(processor)
    try:
        yield
    finally:
        if not has_warned:
            _WARNED.discard(processor)


def _num_closing_tokens(ids: Sequence[int], template: Sequence[int], special: set[int]) -> int:
    """How many of the special tokens behind an empty text stand behind this one."""
    closing = 0
    while closing < min(len(template), len(ids)):
        token = template[-1 - closing]
        if token != ids[-1 - closing] or token not in special:
            break
        closing += 1
    return closing


def _fitting_pieces(text: str, fits: Callable[[str], bool]) -> list[str]:
    if len(text) < 2 or fits(text):
        return [text]
    words = text.split()
    if len(words) == 1:
        half = len(text) // 2
        return [piece for part in (text[:half], text[half:]) for piece in _fitting_pieces(part, fits)]
    pieces = [words[0]]
    for word in words[1:]:
        longer = f"{pieces[-1]} {word}"
        if fits(longer):
            pieces[-1] = longer
        else:
            pieces.append(word)
    return [fitting for piece in pieces for fitting in _fitting_pieces(piece, fits)]


def _words_by_spans(text: str, spans_of_tokens: Sequence[tuple[int, int]]) -> list[QueryWord]:
    spans = word_spans(text)
    positions: list[list[int]] = [[] for _ in spans]
    for position, (start, end) in enumerate(spans_of_tokens):
        # A token may carry the space before its word.
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        for word, (word_start, word_end) in enumerate(spans):
            if word_start <= first < word_end and first < end:
                positions[word].append(position)
    return [
        QueryWord(text[start:end], tokens) for (start, end), tokens in zip(spans, positions, strict=True) if tokens
    ]


def _words_by_pieces(tokenized: TokenizedText) -> list[QueryWord]:
    tokenizer, ids = tokenized.tokenizer, tokenized.ids
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
    written = [word for word in tokenized.text.split() if word.strip(string.punctuation)]
    if len(written) == len(words):
        words = [
            QueryWord(name.strip(string.punctuation), word.token_positions)
            for name, word in zip(written, words, strict=True)
        ]
    return [word for word in words if word_spans(word.word)]
