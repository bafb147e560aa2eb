from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dataset_builders.small_benchmarks import write_multivent2
from video_colbert.dataset_builders.annotation_files import AnnotationError
from video_colbert.dataset_builders.benchmarks import load_benchmark
from video_colbert.dataset_builders.multivent2 import read_judgements, read_queries


@pytest.mark.parametrize("judgements", ["judgments.jsonl", "judgments.qrels", "qrels.txt"])
def test_rows_are_the_gallery_with_the_queries_that_each_video_answers(tmp_path: Path, judgements: str) -> None:
    write_multivent2(tmp_path, judgements)
    rows = {row["video_id"]: row for row in load_benchmark("multivent2", split="test", data_dir=tmp_path)}
    assert {name: (row["query_ids"], row["relevance"]) for name, row in rows.items()} == {
        "testx": (["test_q1", "test_q2"], [2, 1]),
        "testy": ([], []),
        "testz": (["test_q2"], [3]),
        "testw": ([], []),
    }
    assert rows["testx"]["captions"] == ["a flood in the north", "Wahlen, erster Tag"]
    assert Path(rows["testw"]["video"]["path"]) == tmp_path / "test/000/testw.mp4"


def test_queries_are_read_from_lines_of_json_too(tmp_path: Path) -> None:
    write_multivent2(tmp_path)
    table = tmp_path / "multivent_2_test_queries.csv"
    lines = tmp_path / "multivent_2_test_queries.jsonl"
    queries = read_queries(table)
    lines.write_text("".join(json.dumps({"query_id": name, "query": text}) + "\n" for name, text in queries.items()))
    assert read_queries(lines) == queries
    expected = load_benchmark("multivent2", split="test", data_dir=tmp_path).to_list()
    table.unlink()
    assert load_benchmark("multivent2", split="test", data_dir=tmp_path).to_list() == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("q 0 x 1\nq 0 y\n", 2, "expected four words"),
        ("q 0 x one\n", 1, "expected four words"),
        ("q 0 x 1\n\nq 0 x 2\n", 3, "'x' is already judged for query 'q'"),
    ],
)
def test_malformed_judgements_are_named_with_their_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    (tmp_path / "a.qrels").write_text(text)
    with pytest.raises(AnnotationError, match=reason) as raised:
        read_judgements(tmp_path / "a.qrels")
    assert raised.value.line == line
