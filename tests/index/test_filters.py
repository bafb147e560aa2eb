from __future__ import annotations

import itertools
import operator
import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.errors import FilterError, IndexStoreError
from video_colbert.index import LanceIndex
from video_colbert.index.filters import (
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    Membership,
    NullCheck,
    TextMatch,
    parse_filter,
)
from video_colbert.index.indexed_video import MetadataValue

COMPARISONS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(condition: Filter, values: Mapping[str, MetadataValue]) -> bool:
    """What a condition means, one video at a time; a missing value satisfies nothing but `is null`."""
    if isinstance(condition, AllOf):
        return all(holds(part, values) for part in condition.parts)
    if isinstance(condition, AnyOf):
        return any(holds(part, values) for part in condition.parts)
    value = values.get(condition.column)
    if isinstance(condition, NullCheck):
        return (value is None) != condition.negated
    if value is None:
        return False
    if isinstance(condition, Membership):
        return (value in condition.values) != condition.negated
    if isinstance(condition, TextMatch):
        rests = [str(value)[len(start) :] for start in condition.starts if str(value).startswith(start)]
        return any(is_like(rest, condition.pattern) for rest in rests) != condition.negated
    return bool(COMPARISONS[condition.operator](value, condition.value))


def is_like(text: str, pattern: str) -> bool:
    """SQL's LIKE, by its definition."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return is_like(text, pattern[1:]) or (bool(text) and is_like(text[1:], pattern))
    return bool(text) and pattern[0] in ("_", text[0]) and is_like(text[1:], pattern[1:])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "year >= 2020 and genre = 'news'",
            AllOf((Comparison("year", ">=", 2020), Comparison("genre", "=", "news"))),
        ),
        (
            "a = 1 or b = 2 and c = 3",
            AnyOf((Comparison("a", "=", 1), AllOf((Comparison("b", "=", 2), Comparison("c", "=", 3))))),
        ),
        (
            "(a = 1 or b = 2) AND c <> -3.5e2",
            AllOf((AnyOf((Comparison("a", "=", 1), Comparison("b", "=", 2))), Comparison("c", "!=", -350.0))),
        ),
        ("genre not in ('a', 'it''s')", Membership("genre", ("a", "it's"), negated=True)),
        ("live = TRUE and a Is Not Null", AllOf((Comparison("live", "=", True), NullCheck("a", negated=True)))),
        ("a=1 and (b=2 and c=3)", AllOf(tuple(Comparison(name, "=", n) for n, name in enumerate("abc", 1)))),
        (
            "not (a < 1 or b in (2) and c is null)",
            AllOf(
                (
                    Comparison("a", ">=", 1),
                    AnyOf((Membership("b", (2,), negated=True), NullCheck("c", negated=True))),
                )
            ),
        ),
        ("not not a != 1", Comparison("a", "!=", 1)),
        ("a == 1 and not b == 2", AllOf((Comparison("a", "=", 1), Comparison("b", "!=", 2)))),
        (
            "path startswith 'a/' or not path not like '%b_' and like not StartsWith 'x'",
            AnyOf(
                (
                    TextMatch("path", ("a/",)),
                    AllOf((TextMatch("path", ("",), "%b_"), TextMatch("like", ("x",), negated=True))),
                )
            ),
        ),
        (
            '"upload date" = \'x\' and "In" in (1)',
            AllOf((Comparison("upload date", "=", "x"), Membership("In", (1,)))),
        ),
    ],
)
def test_conditions_become_trees_without_negations(text: str, expected: Filter) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at its end: expected the name of a column"),
        ("year", "at its end: expected a comparison"),
        ("year >=", "at its end: expected a number, a 'text', true or false"),
        ("year >= 2020 genre = 'a'", "at \"genre = 'a'\": expected and, or, or the end"),
        ('genre = "news"', "texts stand in single quotes"),
        ("genre = 'news", "texts stand in single quotes"),
        ("genre = news", "at 'news': expected a number"),
        ("year = null", "at 'null': expected a number"),
        ("(year = 1", r"at its end: expected \)"),
        ("year in ()", r"at '\)': expected a number"),
        ("a startswith 3", "at '3': expected a 'text' in single quotes"),
        ("a not = 3", "at '= 3': expected in, startswith or like"),
        ("year = 1; drop table videos", "at '; drop table videos'"),
        ("year = 1 -- comment", "at '-- comment'"),
        ("1 = 1", "at '1 = 1': expected the name of a column"),
        ("year = 99999999999999999999", "too large"),
        ("year = " + "1" * 5000, r"number 1{80}\.\.\. is too large"),
        ("year = \u0661", "at '\u0661'"),
        ("in = 3", "at 'in = 3': expected the name of a column"),
        ("year = 1e999", "too large"),
        ("(" * 200 + "a = 1" + ")" * 200, "nested more than 100 times"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        parse_filter(text)


def test_a_long_filter_is_parsed_in_time_that_grows_with_its_length() -> None:
    def seconds(number: int) -> float:
        text = "n in (" + ", ".join(map(str, range(number))) + ")" + " or n = 1" * number
        start = time.process_time()
        parse_filter(text)
        return time.process_time() - start

    # Ten times the length took a hundred times as long while each step copied the rest of the text.
    assert seconds(100_000) < 30 * seconds(10_000)


@pytest.mark.parametrize("depth", [150, 1_000_000])
@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("not ", ""), ("not (", ")")])
def test_deep_nesting_is_refused_in_a_sentence(depth: int, before: str, after: str) -> None:
    with pytest.raises(FilterError, match="nested more than 100 times") as refused:
        parse_filter(before * depth + "a = 1" + after * depth)
    assert len(str(refused.value)) < 200


def test_a_message_repeats_the_start_of_a_long_filter_only() -> None:
    with pytest.raises(FilterError) as refused:
        parse_filter("a = 'x' nonsense " * 10_000)
    assert len(str(refused.value)) < 400


def random_metadata(generator: random.Random) -> dict[str, MetadataValue]:
    values: dict[str, MetadataValue] = {
        "year": generator.randint(2018, 2022),
        "genre": generator.choice(["news", "it's", 'a "b"', "x' OR '1'='1", "%", "\\", "日本"]),
        "rating": generator.choice([0.5, 1.0, 2.25, 1e-7]),
        "live": generator.random() < 0.5,
    }
    return {name: value for name, value in values.items() if generator.random() < 0.8}


def random_condition(generator: random.Random, depth: int = 3) -> Filter:
    if depth and generator.random() < 0.7:
        kind = generator.choice([AllOf, AnyOf])
        return kind(tuple(random_condition(generator, depth - 1) for _ in range(generator.randint(2, 3))))
    column = generator.choice(["year", "genre", "rating", "live"])
    values = [random_metadata(generator) for _ in range(40)]
    of_column = [row[column] for row in values if column in row]
    if generator.random() < 0.15:
        return NullCheck(column, negated=generator.random() < 0.5)
    if generator.random() < 0.3:
        return Membership(column, tuple(of_column[:2]), negated=generator.random() < 0.5)
    if column == "genre" and generator.random() < 0.5:
        text = str(of_column[0])
        pattern = "".join(generator.choice([letter, letter, "_", "%"]) for letter in text)
        start = "" if generator.random() < 0.5 else text[:2]
        return TextMatch(column, (start,), pattern[len(start) :], negated=generator.random() < 0.5)
    operators = ["=", "!="] if column == "live" else list(COMPARISONS)
    return Comparison(column, generator.choice(operators), of_column[0])  # type: ignore[arg-type]


def test_search_with_a_filter_gives_what_testing_every_video_gives(tmp_path: Path) -> None:
    generator = random.Random(0)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    stored = [make_video(f"{number}.mp4", metadata=random_metadata(generator)) for number in range(60)]
    index.add(stored)
    queries = make_queries(1)
    everything = index.search(queries, top_k=60)[0]
    metadata = {video.path: video.metadata for video, _ in stored}
    sizes = set()
    for _ in range(60):
        condition = random_condition(generator)
        expected = [hit for hit in everything if holds(condition, metadata[hit.video])]
        sizes.add(len(expected))
        for top_k in (3, 60):
            hits = index.search(queries, top_k=top_k, where=condition)[0]
            assert [hit.video for hit in hits] == [hit.video for hit in expected[:top_k]]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected[:top_k]], abs=1e-6)
    assert {0, 60} < sizes | {0, 60}
    assert len(sizes) > 15


def test_filters_work_above_the_exact_limit_and_before_the_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video(f"{number}.mp4", metadata={"number": number}) for number in range(80)])
    hits = index.search(make_queries(1), top_k=5, where="number in (3, 50, 77)")[0]
    assert {Path(hit.video).stem for hit in hits} == {"3", "50", "77"}
    assert index.search(make_queries(2), where="number > 1000") == [[], []]


def test_columns_of_every_video_can_be_asked_for(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("long.mp4", frames=9), make_video("it's.mp4"), make_video("c.mp4", start=1.0, end=2.0)])
    for where, expected in (
        ("duration > 2", ["long.mp4"]),
        ("path = '/videos/it''s.mp4'", ["it's.mp4"]),
        ("start is not null and end <= 2.0", ["c.mp4"]),
        ("digest = 'digest of c.mp4' or id = 'digest of long.mp4'", ["c.mp4", "long.mp4"]),
    ):
        hits = index.search(make_queries(1), where=where)[0]
        assert sorted(Path(hit.video).name for hit in hits) == sorted(expected)
    with pytest.raises(FilterError, match=r"there are digest \(text\), duration \(numbers\), end"):
        index.search(make_queries(1), where="pooled is null")


def test_empty_index_refuses_unknown_columns_too(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(FilterError, match="no column 'year'"):
        index.search(make_queries(1), where="year = 2020")
    assert index.search(make_queries(1), where="duration > 1") == [[]]


def test_later_videos_may_have_new_metadata(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    reader = LanceIndex.open(tmp_path)
    index.add([make_video("a.mp4"), make_video("b.mp4", metadata={"year": 2020, "live": True})])
    index.add([make_video("c.mp4", metadata={"genre": "news", "year": 2021, "rating": 3.5})])
    index.add([make_video("d.mp4", metadata={"rating": 5})])
    assert [dict(video.metadata) for video in reader.videos] == [
        {},
        {"year": 2020, "live": True},
        {"year": 2021, "genre": "news", "rating": 3.5},
        {"rating": 5.0},
    ]
    hits = reader.search(make_queries(1), where="year >= 2020 and genre is null or rating > 4")[0]
    assert {Path(hit.video).name for hit in hits} == {"b.mp4", "d.mp4"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"path": "x"}, "cannot be named 'path', which is a column of every index"),
        ({'a "b"': 1}, "cannot be named 'a \"b\"'; use letters, digits, spaces and signs other than"),
        ({"a.b": 1}, r"cannot be named 'a\.b'"),
        ({"a`b": 1}, "cannot be named 'a`b'"),
        ({"a\nb": 1}, r"cannot be named 'a\\nb'"),
        ({" ": 1}, "cannot be named ' '"),
        ({"tags": ["a"]}, r"'tags' must be text, a number, or true or false, got \['a'\] \(list\)"),
        ({"t": "\ud83d"}, "'t' must be Unicode, which .*ud83d' is not"),
        ({"none": None}, r"'none' must be text, .* got None"),
        ({"year": "2020"}, "'year' must be of one type in all videos of an index, got text and whole numbers"),
        ({"year": True}, "'year' must be of one type .*, got true or false and whole numbers"),
        ({"year": 2020.5}, "'year' must be of one type .*, got numbers and whole numbers"),
        ({"big": 2**70}, "'big' is too large a number for an index"),
    ],
)
def test_metadata_that_no_column_can_hold_is_refused_and_nothing_is_added(
    tmp_path: Path, metadata: dict[str, MetadataValue], message: str
) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4", metadata={"year": 2020})])
    with pytest.raises(IndexStoreError, match=message):
        index.add([make_video("b.mp4"), make_video("c.mp4", metadata=metadata)])
    assert len(LanceIndex.open(tmp_path)) == 1


def test_one_column_holds_one_type(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(
        IndexStoreError, match="'x' must be of one type in all videos of an index, got text and whole numbers"
    ):
        index.add([make_video("a.mp4", metadata={"x": 1}), make_video("b.mp4", metadata={"x": "1"})])


def test_windows_are_grouped_by_video_however_many_there_are(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    lengths = {"long.mp4": 40, "short.mp4": 2, "medium.mp4": 5}
    windows = [
        make_video(name, seed=seed, digest=name, start=float(number), end=number + 2.0)
        for seed, (name, number) in enumerate(
            itertools.chain.from_iterable(((name, n) for n in range(length)) for name, length in lengths.items())
        )
    ]
    index.add([*windows, make_video("whole.mp4")])
    queries = make_queries()
    everything = index.search(queries, top_k=100, group_windows=False)
    for top_k in (1, 3, 10):
        for hits, of_windows in zip(index.search(queries, top_k=top_k), everything, strict=True):
            best = {hit.video: hit for hit in reversed(of_windows)}
            expected = sorted(best.values(), key=lambda hit: -hit.score)[:top_k]
            assert [(hit.video, hit.start) for hit in hits] == [(hit.video, hit.start) for hit in expected]
    assert len(everything[0]) == 48
