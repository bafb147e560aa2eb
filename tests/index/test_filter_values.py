from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tests.index.made_videos import MODEL, make_queries, make_video
from tests.index.test_filters import COMPARISONS, holds
from video_colbert.dataset_builders.video_files import is_unicode
from video_colbert.errors import FilterError
from video_colbert.index import LanceIndex
from video_colbert.index.filter_values import resolve_filter
from video_colbert.index.filters import AnyOf, Comparison, Filter, Membership, parse_filter
from video_colbert.index.indexed_video import FACT_FIELDS

FIELDS = [
    pa.field("year", pa.int64()),
    pa.field("genre", pa.string()),
    pa.field("rating", pa.float64()),
    pa.field("live", pa.bool_()),
]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "yaer = 2020",
            "no column 'yaer' to filter by; there are genre .text., live .true or false., rating .numbers., year",
        ),
        ("not (genre = 'a' or YEAR = 1)", "no column 'YEAR'"),
        ("genre = 5", "column 'genre' holds text, not 5"),
        ("year in (2020, '2021')", "column 'year' holds numbers, not '2021'"),
        ("live = 1", "column 'live' holds true or false, not 1"),
        ("year = true", "column 'year' holds numbers, not True"),
        ("live > false", "column 'live' holds true or false; compare it with = or !="),
        ("year startswith '2'", "column 'year' holds numbers; startswith and like are for columns of text"),
        (f"genre like '{'a' * 1001}'", "has 1001 characters, more than 1000; use = or startswith"),
        ("genre = 'caf\udce9'", "column 'genre' cannot be compared with .*, which is no Unicode"),
    ],
)
def test_unknown_columns_and_values_of_another_type_are_named(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        resolve_filter(parse_filter(text), FIELDS)


MODIFIED = next(field for field in FACT_FIELDS if field.name == "modified")


def test_times_are_of_this_machine_unless_they_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        noon = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
        for text, seconds in (
            ("2026-11-27T07:00", noon),
            ("2026-11-27 07:00:00.5", noon + 0.5),
            ("2026-11-27", noon - 7 * 3600),
            ("2026-11-27T12:00Z", noon),
            ("2026-11-27T13:00+01:00", noon),
            # Summer time.
            ("2026-07-27T08:00", datetime(2026, 7, 27, 12, tzinfo=UTC).timestamp()),
        ):
            condition = resolve_filter(parse_filter(f"modified >= '{text}' or modified in ('{text}')"), [MODIFIED])
            assert condition == AnyOf((Comparison("modified", ">=", seconds), Membership("modified", (seconds,))))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modified > 5", "column 'modified' holds times, not 5; write one as '2026-11-27' or '2026-11-27T10:00'"),
        ("modified in ('2026-11-27', 'yesterday')", "holds times, not 'yesterday'"),
        ("modified > '0001-01-01'", "holds times, not '0001-01-01'"),
        ("modified startswith '2026'", "column 'modified' holds times; startswith and like are for columns of text"),
        ("year > 5", r"there are modified \(times\)"),
    ],
)
def test_what_is_no_time_is_refused(text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        resolve_filter(parse_filter(text), [MODIFIED])


def test_metadata_of_the_name_of_a_time_is_no_time() -> None:
    condition = parse_filter("modified > 'm'")
    assert resolve_filter(condition, [pa.field("modified", pa.string())]) == condition


@pytest.mark.parametrize("column", ["year", "rating"])
def test_a_comparison_with_nan_is_refused(column: str) -> None:
    with pytest.raises(FilterError, match="cannot be compared with NaN"):
        resolve_filter(Comparison(column, "<", math.nan), FIELDS)


NUMBERS = [0, 1, -1, 2, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, -(2**63) + 1, 2**63 - 1]
VALUES = [*NUMBERS, 0.5, -0.5, 1.0, -0.0, 1.5, 2.0**53, 2.0**63, -(2.0**63), 1e300, -1e300, math.inf, -math.inf, 2**70]


def hit_names(index: LanceIndex, condition: Filter) -> set[str]:
    return {Path(hit.video).stem for hit in index.search(make_queries(1), top_k=100, where=condition)[0]}


def test_columns_of_whole_numbers_are_compared_as_python_compares_numbers(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([*(make_video(f"{n}.mp4", metadata={"n": n}) for n in NUMBERS), make_video("none.mp4")])
    generator = random.Random(0)
    for value in VALUES:
        for operator, compares in COMPARISONS.items():
            expected = {str(n) for n in NUMBERS if compares(n, value)}
            assert hit_names(index, Comparison("n", operator, value)) == expected, (operator, value)  # type: ignore[arg-type]
        values = tuple(generator.sample(VALUES, 3))
        for negated in (False, True):
            expected = {str(n) for n in NUMBERS if (n in values) != negated}
            assert hit_names(index, Membership("n", values, negated)) == expected, values


def test_a_number_that_is_none_is_no_value_to_any_condition(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    numbers = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "1": 1.0, "2500": 2500.0}
    index.add([*(make_video(f"{name}.mp4", metadata={"s": n}) for name, n in numbers.items()), make_video("none.mp4")])
    given = {name: {"s": n} for name, n in numbers.items() if name != "nan"} | {"nan": {}, "none": {}}
    for where in (
        *(f"s {operator} {value}" for operator in COMPARISONS for value in (1, 2500, 1e308, 0.5)),
        *("s in (1, 7)", "s not in (1, 7)", "s is null", "s is not null", "not s > 1", "not (s < 1 or s = 2500)"),
    ):
        expected = {name for name, values in given.items() if holds(parse_filter(where), values)}
        assert hit_names(index, parse_filter(where)) == expected, where
    assert hit_names(index, Comparison("s", ">=", math.inf)) == {"inf"}


def qdrant_index() -> LanceIndex:
    client = pytest.importorskip("qdrant_client").QdrantClient(":memory:")
    from video_colbert.index.qdrant.qdrant_index import QdrantIndex

    return QdrantIndex.create("qdrant://localhost:6333/x", model=MODEL, num_frames=3, client=client)  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
@pytest.mark.parametrize("store", ["lance", "qdrant"])
def test_columns_may_have_the_names_that_people_give_them(tmp_path: Path, store: str) -> None:
    make: Callable[[], LanceIndex] = qdrant_index
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3) if store == "lance" else make()
    names = ("upload date", "größe (MB)", "e-mail", "in", "日本", "a/b", "a[0]", "$a", "it's", "%s", "a\\b")
    for number, name in enumerate(names):
        index.add([make_video(f"{number}-{value}.mp4", metadata={name: value}) for value in (1, 2)])
    for number, name in enumerate(names):
        assert hit_names(index, parse_filter(f'"{name}" >= 1.5')) == {f"{number}-2"}


def test_a_folder_whose_name_is_no_unicode_hinders_no_filter_on_paths() -> None:
    fields = [pa.field("path", pa.string())]
    folders = [os.fsdecode(b"/videos/caf\xe9"), "/films"]
    found = resolve_filter(parse_filter("path = 'a.mp4'"), fields, folders)
    assert isinstance(found, Membership)
    assert "/films/a.mp4" in found.values
    assert all(isinstance(value, str) and is_unicode(value) for value in found.values)
