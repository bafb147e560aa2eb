import logging
from itertools import pairwise

import pytest
from transformers import GemmaTokenizer, PreTrainedTokenizerBase

from video_colbert.processing.query_tokens import (
    QueryWord,
    cut_captions_untold,
    sentence_windows,
    tokenize,
    warn_of_cut_captions,
    word_spans,
)

CAPTION = "A red square moves left, then a blue star's edge grows."


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    return [tokenized.ids for tokenized in tokenize(tokenizer, texts)]


def query_words(tokenizer: PreTrainedTokenizerBase, text: str, length: int) -> list[QueryWord]:
    [tokenized] = tokenize(tokenizer, [text])
    return tokenized.words(length)


@pytest.fixture(params=["clip", "siglip"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    return request.getfixturevalue(f"{request.param}_tokenizer")


def test_a_cut_query_keeps_its_end_of_text_token(tokenizer: PreTrainedTokenizerBase) -> None:
    [tokenized] = tokenize(tokenizer, [CAPTION])
    assert tokenized.cut(len(tokenized.ids)) == tokenized.ids
    assert tokenized.cut(8) == [*tokenized.ids[:7], tokenizer.eos_token_id]


def test_clip_begins_with_its_start_token_and_siglip_with_none(
    clip_tokenizer: PreTrainedTokenizerBase, siglip_tokenizer: PreTrainedTokenizerBase
) -> None:
    assert token_ids(clip_tokenizer, ["a"])[0][0] == clip_tokenizer.bos_token_id
    assert len(token_ids(siglip_tokenizer, ["a"])[0]) == 2


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_tokenizers_own_truncation_and_padding_do_not_matter(
    clip_tokenizer: PreTrainedTokenizerBase, side: str
) -> None:
    expected = token_ids(clip_tokenizer, [CAPTION, "a"])
    clip_tokenizer(CAPTION, padding="max_length", truncation=True, max_length=5)
    try:
        clip_tokenizer.truncation_side = clip_tokenizer.padding_side = side
        assert token_ids(clip_tokenizer, [CAPTION, "a"]) == expected
    finally:
        clip_tokenizer.truncation_side = clip_tokenizer.padding_side = "right"


def test_each_sentence_is_a_window(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "A man runs. He stops!  Why?\nThe dog looks back"
    assert sentence_windows(tokenizer, text, 32) == ["A man runs.", "He stops!", "Why?", "The dog looks back"]
    assert sentence_windows(tokenizer, "红球。蓝球！", 40) == ["红球。", "蓝球！"]  # noqa: RUF001 # full-width marks
    assert sentence_windows(tokenizer, "at 3.5 seconds", 32) == ["at 3.5 seconds"]
    assert sentence_windows(tokenizer, "", 32) == [""]


@pytest.mark.parametrize("length", [8, 13, 20])
def test_a_long_sentence_is_split_between_words_and_nothing_is_lost(
    tokenizer: PreTrainedTokenizerBase, length: int
) -> None:
    text = " ".join(["a red square moves left and a man rides the bicycle"] * 4)
    windows = sentence_windows(tokenizer, text, length)
    assert " ".join(windows) == text
    assert all(len(ids) <= length for ids in token_ids(tokenizer, windows))
    # As few windows as filling one after another gives: no two neighbours fit into one.
    assert all(len(token_ids(tokenizer, [f"{first} {second}"])[0]) > length for first, second in pairwise(windows))


def test_a_word_longer_than_a_window_is_split_within(tokenizer: PreTrainedTokenizerBase) -> None:
    windows = sentence_windows(tokenizer, "a " + "zq" * 40 + "🎉", 8)
    assert "".join(windows).replace(" ", "") == "a" + "zq" * 40 + "🎉"
    assert all(len(ids) <= 8 for ids in token_ids(tokenizer, windows))


def test_words_are_those_of_the_caption_and_their_tokens_spell_them(tokenizer: PreTrainedTokenizerBase) -> None:
    words = query_words(tokenizer, CAPTION, 64)
    names = ["A", "red", "square", "moves", "left", "then", "a", "blue", "star's", "edge", "grows"]
    assert [word.word for word in words] == names
    [ids] = token_ids(tokenizer, [CAPTION])
    for word in words:
        spelled = tokenizer.decode([ids[position] for position in word.token_positions])
        assert spelled.replace(" ", "").replace("'", "") == word.word.lower().replace("'", "")
    positions = [position for word in words for position in word.token_positions]
    assert positions == sorted(set(positions))


def test_special_tokens_and_punctuation_belong_to_no_word(clip_tokenizer: PreTrainedTokenizerBase) -> None:
    words = query_words(clip_tokenizer, "left , right !", 16)
    tokens = clip_tokenizer.convert_ids_to_tokens(token_ids(clip_tokenizer, ["left , right !"])[0])
    taken = {position for word in words for position in word.token_positions}
    assert {tokens[position] for position in set(range(len(tokens))) - taken} == {
        "<|startoftext|>",
        ",</w>",
        "!</w>",
        "<|endoftext|>",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a man's T-shirt, 3.5 m", ["a", "man's", "T-shirt", "3", "5", "m"]),
        ("एक आदमी, साइकिल", ["एक", "आदमी", "साइकिल"]),
        ("ผู้ชาย ขี่", ["ผู้ชาย", "ขี่"]),
        ("رجلٌ يركب", ["رجلٌ", "يركب"]),
        ("می\u200cرود", ["می\u200cرود"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("a ❤\ufe0f b", ["a", "b"]),
        ("", []),
    ],
)
def test_a_word_is_its_letters_with_their_marks(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == words


def test_a_word_of_unknown_letters_is_named_as_the_caption_does(tokenizer: PreTrainedTokenizerBase) -> None:
    words = query_words(tokenizer, "In Zürich, a ball 🎉", 32)
    assert [word.word for word in words] == ["In", "Zürich", "a", "ball"]


def test_gemmas_tokenizer_of_siglip_2_gives_the_captions_words() -> None:
    merges = [("▁", "b"), ("▁b", "a"), ("l", "l")]
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *"abdelr,", *map("".join, merges)]
    tokenizer = GemmaTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=merges)
    tokens = tokenizer.convert_ids_to_tokens(token_ids(tokenizer, ["red ball, bad"])[0])
    words = query_words(tokenizer, "red ball, bad", 32)
    assert [word.word for word in words] == ["red", "ball", "bad"]
    spelled = ["".join(tokens[position] for position in word.token_positions) for word in words]
    assert spelled == ["red", "▁ball", "▁bad"]


def test_words_that_are_cut_off_are_left_out(tokenizer: PreTrainedTokenizerBase) -> None:
    whole = query_words(tokenizer, CAPTION, 64)
    cut = query_words(tokenizer, CAPTION, 9)
    assert [word.word for word in cut] == [word.word for word in whole][: len(cut)]
    assert max(position for word in cut for position in word.token_positions) == 7
    assert query_words(tokenizer, "", 9) == []


class Processor:
    """Stands for one: only which it is counts."""


def test_each_processor_warns_once_and_not_of_texts_that_nobody_asked(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Processor(), Processor()
    with caplog.at_level(logging.WARNING, logger="video_colbert.processing"):
        with cut_captions_untold(first):
            warn_of_cut_captions(first, 1, 2, 16)
        assert caplog.messages == []
        warn_of_cut_captions(first, 2, 3, 16)
        with cut_captions_untold(first):
            pass
        warn_of_cut_captions(first, 1, 1, 16)
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith("2 of 3 captions are longer than query_length=16 tokens and were cut")
        warn_of_cut_captions(second, 1, 1, 16)
        assert len(caplog.messages) == 2
