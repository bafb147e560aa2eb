from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

from video_colbert.evaluation.robustness.word_swaps import attack_query, swapped_texts


def test_words_change_places_with_neighbours_and_letters_within_words() -> None:
    assert swapped_texts("a red red dog", "words") == ["red a red dog", "a red dog red"]
    assert swapped_texts("see frogs", "letters") == ["see forgs", "see frgos"]
    assert swapped_texts("dog", "words") == []
    with pytest.raises(ValueError, match="words, letters"):
        swapped_texts("a dog", "synonyms")  # type: ignore[arg-type]


def distance(texts: Sequence[str]) -> np.ndarray:
    """A margin that falls with each word that stands where the alphabet would not have it."""
    return np.array([2.5 - sum(a > b for a, b in zip(text.split(), text.split()[1:], strict=False)) for text in texts])


def test_the_search_makes_the_swap_that_costs_most_and_ends_with_its_budget() -> None:
    one = attack_query("a b c d", distance, kind="words", budget=1)
    values = {text: distance([text])[0] for text in swapped_texts("a b c d", "words")}
    assert (one.swaps, one.margin) == (1, min(values.values()))
    # More swaps do not do less, and never better than any order of the words.
    more = attack_query("a b c d", distance, kind="words", budget=4)
    assert more.swaps > 1
    assert one.margin >= more.margin >= min(distance([" ".join(order)])[0] for order in permutations("abcd"))


def test_a_query_that_finds_nothing_any_more_is_left_alone() -> None:
    lost = attack_query("b a", lambda texts: np.full(len(texts), -0.1), kind="words", budget=3)
    assert (lost.text, lost.swaps) == ("b a", 0)
    with pytest.raises(ValueError, match="from 1"):
        attack_query("b a", distance, kind="words", budget=0)
