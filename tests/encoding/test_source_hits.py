from __future__ import annotations

from video_colbert.encoding.source_hits import MatchedWord, SourceHit

TEXT = "one two three four five six seven eight nine ten"


def hit(*words: str) -> SourceHit:
    matched = tuple(MatchedWord(word, TEXT.index(word), TEXT.index(word) + len(word)) for word in words)
    return SourceHit("speech", 1, 0.5, TEXT, "speech", 1.0, 2.5, matched)


def test_a_long_passage_is_cut_around_its_first_matched_word() -> None:
    assert hit("six").quoted() == TEXT.replace("six", "*six*")
    assert hit("six").quoted(20) == "...five *six* seven eight..."
    assert hit("one", "ten").quoted(20) == "*one* two three four f..."
    assert hit("ten").quoted(20) == "...seven eight nine *ten*"


def test_control_characters_of_a_passage_do_not_reach_a_terminal() -> None:
    assert "\x1b" not in SourceHit("speech", 1, 0.5, "red \x1b[31m", "speech").quoted()


def test_a_line_says_the_source_its_times_and_where_words_were_found() -> None:
    assert hit("ten").line(100) == f"speech 0:01.0-0:02.5  {TEXT.replace('ten', '*ten*')}"
    found = SourceHit("keywords", 1, 3.0, "A title", "description")
    assert found.line(80) == "keywords in description  A title"


def test_a_source_is_written_with_all_that_is_known_of_it() -> None:
    assert hit("two").as_dict() == {
        "source": "speech",
        "rank": 1,
        "score": 0.5,
        "text": TEXT,
        "kind": "speech",
        "start": 1.0,
        "end": 2.5,
        "matched": [{"word": "two", "from": 4, "to": 7, "similarity": 1.0, "time": None}],
    }
