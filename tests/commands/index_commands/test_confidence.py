"""`video-colbert confidence`, and `search` with what it learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.text.tiny_text_models import save_native
from video_colbert.cli import main
from video_colbert.index import open_index

WORDS = ("leaves", "energy", "dog", "ball", "night", "report", "teacher", "music", "year", "number")
TEXTS = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS if a < b < c]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of 120 texts, each asked for by two of its three words."""
    folder = tmp_path_factory.mktemp("confidence")
    model = save_native(folder / "model")
    notes, judged = folder / "notes.jsonl", folder / "judged.jsonl"
    notes.write_text("".join(json.dumps({"id": f"n{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    lines = [{"query": " ".join(text.split()[:2]), "videos": [f"n{n}"]} for n, text in enumerate(TEXTS)]
    judged.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["index", "--passages", str(notes), "--text-model", str(model), "--index", str(folder / "index")]) == 0
    return folder / "index"


def test_an_index_that_learned_nothing_refuses_to_judge(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "dog", "night", "--index", str(index), "--min-probability", "0.5"]) == 1
    assert "`video-colbert confidence` learns it" in capsys.readouterr().err


def test_what_is_learned_is_written_kept_and_given_with_hits(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged, plot = index.parent / "judged.jsonl", tmp_path / "plot.svg"
    arguments = ["confidence", "--index", str(index), "--judged", str(judged)]
    assert main([*arguments, "--plot", str(plot), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_queries"] == 120
    assert len(found["bins"]) == 10
    assert plot.read_text().startswith("<svg ")
    assert main(arguments) == 0
    assert f"expected calibration error of first hits: {found['error']:.3f}" in capsys.readouterr().out

    query = ["search", "dog", "night", "--index", str(index), "--json"]
    assert main(query) == 0
    hits = json.loads(capsys.readouterr().out)
    likely = [hit["probability"] for hit in hits["hits"]]
    assert all(0 <= probability <= 1 for probability in likely)
    limit = sorted(likely)[-2]
    assert main([*query, "--min-probability", str(limit - 1e-4)]) == 0
    kept = [hit["probability"] for hit in json.loads(capsys.readouterr().out)["hits"]]
    assert kept == [probability for probability in likely if probability >= limit - 1e-4]
    # What it says of hits changes neither them nor their order.
    with open_index(index) as opened:
        known = opened.stored.notes
        opened.stored.set_notes(type(known)(folders=known.folders, fusion=known.fusion))
        plain = opened.search("dog night")
        assert plain.false_positive_rate is None
        opened.stored.set_notes(known)
    assert [hit.video for hit in plain] == [hit["video"] for hit in hits["hits"]]


def test_a_query_without_a_video_is_told_from_one_with_one(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_index(index) as opened:
        rate = opened.search("dog night").false_positive_rate
    assert rate is not None
    below = ["search", "dog", "night", "--index", str(index), "--max-false-positives", str(rate - 0.001)]
    assert main(below) == 0
    assert capsys.readouterr().out.startswith("No such video: of queries for a video that is not there, ")
    assert main([*below[:-1], str(rate)]) == 0
    assert " likely" in capsys.readouterr().out.splitlines()[0]


def test_searches_of_another_kind_are_not_judged(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ["search", "dog", "night", "--index", str(index), "--only", "keywords", "--min-probability", "0.1"]
    assert main(other) == 1
    assert "searches by text of all that the index holds" in capsys.readouterr().err
    with open_index(index) as opened:
        assert opened.search("dog night", sources=["keywords"]).false_positive_rate is None


def test_too_few_queries_are_one_sentence(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judged = tmp_path / "few.jsonl"
    judged.write_text(json.dumps({"query": "dog", "videos": ["n1"]}) + "\n")
    assert main(["confidence", "--index", str(index), "--judged", str(judged)]) == 1
    assert "few.jsonl: a confidence is learned from 63 judged queries or more, got 1" in capsys.readouterr().err
