import json

import pytest

from video_colbert.text.passages import Passage, TimedWord, join_passages, one_line, words_between


def cue(text: str, start: float, end: float) -> Passage:
    return Passage("subtitles", text, start, end, words_between(text, start, end))


def test_parts_of_a_sentence_are_one_passage_with_all_their_words() -> None:
    (passage,) = join_passages([cue("Leaves make", 1.0, 2.0), cue("sugar from light.", 2.5, 4.0)])
    assert (passage.text, passage.start, passage.end) == ("Leaves make sugar from light.", 1.0, 4.0)
    assert [word.text for word in passage.words] == passage.text.split()


def test_a_long_pause_ends_a_passage() -> None:
    parts = [cue("One", 0.0, 1.0), cue("two", 3.0, 4.0), cue("three", 6.1, 7.0)]
    assert [passage.text for passage in join_passages(parts)] == ["One two", "three"]


def test_the_end_of_a_sentence_ends_a_passage_that_is_long_enough() -> None:
    parts = [cue("A short one.", 0.0, 2.0), cue("A longer one.", 2.0, 10.5), cue("Another.", 10.5, 12.0)]
    assert [passage.text for passage in join_passages(parts)] == ["A short one. A longer one.", "Another."]


def test_no_passage_is_longer_than_asked_unless_a_part_is() -> None:
    parts = [cue("a", float(second), second + 1.0) for second in range(30)] + [cue("b", 30.0, 60.0)]
    joined = join_passages(parts, most_seconds=8.0)
    assert [(passage.start, passage.end) for passage in joined] == [
        (0.0, 8.0),
        (8.0, 16.0),
        (16.0, 24.0),
        (24.0, 30.0),
        (30.0, 60.0),
    ]


def test_passages_without_times_stay_apart() -> None:
    parts = [Passage("description", "one"), Passage("description", "two")]
    assert join_passages(parts) == parts


def test_words_take_time_in_proportion_to_their_letters() -> None:
    words = words_between("a bcd", 2.0, 4.0)
    assert words == (TimedWord("a", 2.0, 2.5), TimedWord("bcd", 2.5, 4.0))
    assert words_between("", 0.0, 1.0) == ()


@pytest.mark.parametrize("text", ["two\nlines", " two\u00a0\tlines ", "two\x00lines", "two\u2028lines\u200b"])
def test_a_text_becomes_one_line(text: str) -> None:
    assert one_line(text) == "two lines"


def test_a_passage_survives_json() -> None:
    passage = Passage("speech", "hello", 0.25, 1.5, (TimedWord("hello", 0.25, 1.5),))
    assert Passage.from_json(json.loads(json.dumps(passage.to_json()))) == passage
