import pytest

from video_colbert.encoding.passes.phrases import is_function_word, split_phrases


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("a red circle and a blue square", ["red circle", "blue square"]),
        ("the man's T-shirt is red", ["man's T-shirt", "red"]),
        ("A dog, a cat; birds!", ["dog", "cat", "birds"]),
        ("Red circle", ["Red circle"]),
        ("two dogs\nplay", ["two dogs\nplay"]),
        ("a dog with a dog", ["dog"]),
        # No function word of the language is known: its words, however many it takes.
        ("ein roter Kreis bewegt sich", ["ein", "roter", "Kreis", "bewegt", "sich"]),
        ("roter Kreis", ["roter Kreis"]),
        ("红色圆圈", ["红色圆圈"]),
        # Nothing to point at but the query.
        ("what is it", ["what is it"]),
        ("?!", ["?!"]),
        ("", [""]),
    ],
)
def test_phrases_are_runs_between_function_words_and_punctuation(text: str, phrases: list[str]) -> None:
    assert split_phrases(text) == phrases


def test_function_words_are_known_in_any_case_and_no_noun_is_one() -> None:
    assert all(map(is_function_word, ["a", "The", "OF", "himself"]))
    assert not any(map(is_function_word, ["dog", "red", "runs", "two", "left", "", "größer"]))
