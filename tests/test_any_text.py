"""Properties of what reads text that users write: a right result or one of our errors, for whatever is in the file."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from video_colbert.dataset_builders.annotation_files import AnnotationError
from video_colbert.dataset_builders.delimited_tables import parse_csv
from video_colbert.dataset_builders.video_folder import read_captions
from video_colbert.errors import MetadataError
from video_colbert.index.ingest.metadata_files import read_manifest, read_metadata
from video_colbert.training.arguments import merged_recipes

EXAMPLES = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Everything that JSON has, and what it says but has not: halves of characters, NaN and numbers without end.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**18, max_value=10**30)
    | st.floats()
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["video", "caption", "start", "end", "year", "a b", "", "é"]) | st.text(max_size=6)
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["nan", "NaN", "1", "2.5", "-0", "1e999", "true", "a.mp4", "007", "9" * 30, "9" * 5000]
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=4)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def as_csv(header: list[str], rows: list[list[str]], separator: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([header, *rows])
    return text.getvalue()


def read_all(folder: Path, suffix: str, content: bytes) -> None:
    """Reads a file as metadata, as a manifest and as captions; each takes it or names it in its own error."""
    file = folder / f"table{suffix}"
    file.write_bytes(content)
    with suppress(MetadataError):
        read_metadata(file)
    with suppress(MetadataError):
        read_manifest(file)
    with suppress(AnnotationError):
        read_captions(file)


@EXAMPLES
@given(
    content=st.binary(max_size=200),
    suffix=st.sampled_from([".csv", ".jsonl"]),
    header=st.sampled_from([b"", b"video,caption,x\n", b'{"video": "a.mp4", "caption": "x"}\n']),
)
def test_any_bytes_are_a_table_or_a_sentence(folder: Path, content: bytes, suffix: str, header: bytes) -> None:
    read_all(folder, suffix, header + content)


@EXAMPLES
@given(rows=st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=4), has_names=st.booleans())
def test_any_lines_of_json_are_a_table_or_a_sentence(
    folder: Path, rows: list[dict[str, Any]], has_names: bool
) -> None:
    if has_names:
        rows = [{"video": f"{n}.mp4", "caption": "x", **row} for n, row in enumerate(rows)]
    read_all(folder, ".jsonl", "\n".join(map(json.dumps, rows)).encode())


@EXAMPLES
@given(header=st.lists(NAMES, min_size=1, max_size=4), rows=TABLES, separator=st.sampled_from(",;\t"))
def test_any_cells_are_a_table_or_a_sentence(
    folder: Path, header: list[str], rows: list[list[str]], separator: str
) -> None:
    header = [name.encode("utf-8", "replace").decode() for name in header]
    read_all(folder, ".csv", as_csv(["video", *header], rows, separator).encode())


@EXAMPLES
@given(
    names=st.lists(st.from_regex(r"[a-z_][a-zé ]{0,5}[a-z]", fullmatch=True), min_size=1, max_size=3, unique=True),
    data=st.data(),
    separator=st.sampled_from(",;\t"),
)
def test_what_a_csv_writer_writes_is_read_back(names: list[str], data: st.DataObject, separator: str) -> None:
    cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    rows = data.draw(st.lists(st.lists(cell, min_size=len(names), max_size=len(names)), max_size=4))
    # Quoted, a cell keeps the spaces before it; a lone carriage return ends no line of such a table.
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([names, *rows])
    expected = [dict(zip(names, row, strict=True)) for row in rows if any(value.strip() for value in row)]
    assert [row for _, row in parse_csv(text.getvalue(), "table.csv", names)] == expected


@EXAMPLES
@given(
    content=st.binary(max_size=120) | st.text(max_size=120).map(lambda text: text.encode("utf-8", "replace")),
    before=st.sampled_from([b"", b"seed: ", b"config_overrides: {query_length: "]),
)
def test_any_bytes_are_a_recipe_or_a_sentence(folder: Path, content: bytes, before: bytes) -> None:
    file = folder / "recipe.yaml"
    file.write_bytes(before + content)
    with suppress(ValueError):
        merged_recipes([file])


NAMES_OF_ARGUMENTS = ["seed", "backbone", "freeze", "config_overrides", "learning_rate", "num_frames", "push_to_hub"]


@EXAMPLES
@given(recipe=st.dictionaries(st.sampled_from(NAMES_OF_ARGUMENTS), VALUES, max_size=3))
def test_any_values_are_arguments_or_a_sentence(folder: Path, recipe: dict[str, Any]) -> None:
    # JSON is YAML too.
    file = folder / "recipe.yaml"
    file.write_text(json.dumps(recipe), encoding="utf-8")
    with suppress(ValueError):
        merged = merged_recipes([file])
        assert {name: merged[name] for name in ("seed", "push_to_hub") if name in recipe} == {
            name: recipe[name] for name in ("seed", "push_to_hub") if name in recipe
        }
