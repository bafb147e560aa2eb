from video_colbert.text.token_spans import words_of_tokens


def test_a_word_with_vowel_signs_has_all_its_tokens() -> None:
    text = "हिन्दी पाठ"
    tokens = [(0, 2), (2, 4), (4, 6), (7, 10)]
    words = words_of_tokens(text, tokens)
    assert [(word.word, word.token_positions) for word in words] == [("हिन्दी", [0, 1, 2]), ("पाठ", [3])]
