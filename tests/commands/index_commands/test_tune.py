"""`video-colbert tune`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.text.tiny_text_models import save_native
from video_colbert.cli import main
from video_colbert.commands.judged_queries import read_judged_queries
from video_colbert.errors import DatasetError
from video_colbert.index import open_index

WORDS = ("leaves", "energy", "dog", "ball", "night", "report", "teacher", "music", "year", "number")
TEXTS = [" ".join(WORDS[(number * step + step) % 10] for step in (1, 2, 3)) for number in range(12)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of twelve texts, which has the sources document and keywords."""
    folder = tmp_path_factory.mktemp("tune")
    model = save_native(folder / "model")
    notes = folder / "notes.jsonl"
    notes.write_text("".join(json.dumps({"id": f"n{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    assert main(["index", "--passages", str(notes), "--text-model", str(model), "--index", str(folder / "index")]) == 0
    return folder / "index"


def test_an_index_knows_how_wrong_hits_score_from_the_day_it_is_made(index: Path) -> None:
    with open_index(index) as opened:
        assert set(opened.stored.notes.fusion.lengths) == {"document", "keywords"}


def test_judged_queries_give_held_out_figures_and_weights(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = tmp_path / "judged.jsonl"
    lines = [{"query": text, "videos": [f"n{number}"]} for number, text in enumerate(TEXTS)]
    judged.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["tune", "--index", str(index), "--judged", str(judged)]) == 0
    out = capsys.readouterr().out
    rows = {line[:24].strip(): line[24:].split() for line in out.splitlines()[2:-1]}
    names = ("document alone", "keywords alone", "reciprocal, not fitted", "calibrated, fitted", "learned, fitted")
    assert set(names) <= set(rows)
    assert all(0 <= float(row[0]) <= float(row[2]) <= 100 and 0 <= float(row[3]) <= 1 for row in rows.values())
    with open_index(index) as opened:
        fusion = opened.stored.notes.fusion
    assert set(fusion.weights) == {"document", "keywords"}
    assert "document" in fusion.lengths
    assert main(["search", "the dog", "--index", str(index), "--fusion", "learned"]) == 0


def test_tuning_again_without_judged_queries_forgets_them(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--index", str(index)]) == 0
    assert "knows how wrong hits score of: document, keywords." in capsys.readouterr().out
    with open_index(index) as opened:
        assert not opened.stored.notes.fusion.weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no judged query"),
        ('{"query": "a", "videos": []}', "line 1: expected a text in query and a list of paths in videos"),
        ('{"query": "a", "videos": ["c.mp4"]}', "line 1: 'c.mp4' is not in the index"),
        ('{"query": "a", "videos": ["b.mp4"]}', "'b.mp4' may be /x/b.mp4 or /y/b.mp4; give more of the path"),
        ('{"query": "a"}', "no videos"),
    ],
)
def test_a_file_that_is_none_of_judged_queries_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "judged.jsonl").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_judged_queries(tmp_path / "judged.jsonl", ["/x/a.mp4", "/x/b.mp4", "/y/b.mp4"])


def test_videos_are_named_by_the_end_of_their_path(tmp_path: Path) -> None:
    (tmp_path / "judged.jsonl").write_text('{"query": "a", "videos": ["y/b.mp4", "a.mp4"]}\n')
    [(query, right)] = read_judged_queries(tmp_path / "judged.jsonl", ["/x/a.mp4", "/x/b.mp4", "/y/b.mp4"])
    assert (query, right) == ("a", {"/x/a.mp4", "/y/b.mp4"})
