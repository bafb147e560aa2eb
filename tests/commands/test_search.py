from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.index.confidence.judged_lists import judged_lists
from tests.video_files import write_clip
from video_colbert.index import LanceIndex, open_index
from video_colbert.index.confidence.search_confidence import fit_confidence


@pytest.fixture
def index(tmp_path: Path, checkpoint_folder: Path, run_command: RunCommand) -> Path:
    """An index of four videos, in windows of at most 2 seconds, of the years 2019 to 2022."""
    lines = []
    for seed in range(4):
        path = write_clip(tmp_path / "videos" / f"{seed}.mp4", seed, frames=20 if seed == 3 else 6)
        lines.append(json.dumps({"video": str(path), "year": 2019 + seed, "genre": "it's" if seed == 1 else "news"}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    folder = tmp_path / "index"
    options = ("--windows", "2", "--metadata", tmp_path / "metadata.jsonl")
    code, _, err = run_command("index", tmp_path / "videos", "--model", checkpoint_folder, "--index", folder, *options)
    assert code == 0, err
    return folder


def hits(run_command: RunCommand, index: Path, *options: str) -> list[dict[str, object]]:
    code, out, err = run_command("search", "a red circle", "--index", index, "--json", *options)
    assert code == 0, err
    found: list[dict[str, object]] = json.loads(out)["hits"]
    return found


def names(found: list[dict[str, object]]) -> set[str]:
    return {Path(str(hit["video"])).stem for hit in found}


def test_condition_leaves_only_videos_of_which_it_holds(run_command: RunCommand, index: Path) -> None:
    assert names(hits(run_command, index, "--where", "year >= 2020 and genre = 'news'")) == {"2", "3"}
    assert names(hits(run_command, index, "--where", "genre = 'it''s'", "--top-k", "1")) == {"1"}
    assert hits(run_command, index, "--where", "year < 1900") == []


def test_conditions_that_cannot_be_met_are_one_sentence(run_command: RunCommand, index: Path) -> None:
    for where, message in (
        ("yaer = 2020", "there is no column 'yaer' to filter by; there are digest (text), duration (numbers), "),
        ("year = ", "the filter 'year = ' is not understood at its end: expected a number"),
        ("genre > 3", "column 'genre' holds text, not 3"),
    ):
        code, out, err = run_command("search", "x", "--index", index, "--where", where)
        assert (code, out) == (1, "")
        assert err.strip().splitlines()[-1].startswith(f"video-colbert: {message}")


def test_a_hit_whose_file_is_gone_says_so(tmp_path: Path, run_command: RunCommand, index: Path) -> None:
    (tmp_path / "videos" / "1.mp4").unlink()
    assert {Path(str(hit["video"])).stem: hit["gone"] for hit in hits(run_command, index)} == {
        "0": False,
        "1": True,
        "2": False,
        "3": False,
    }


def test_windows_are_given_one_a_video_or_all(run_command: RunCommand, index: Path) -> None:
    grouped = hits(run_command, index)
    assert len(grouped) == len(names(grouped)) == 4
    every = hits(run_command, index, "--all-windows", "--top-k", "20")
    assert len(every) == len(LanceIndex.open(index)) > 4
    best = next(hit for hit in every if Path(str(hit["video"])).stem == "3")
    assert best in [{**hit, "rank": best["rank"]} for hit in grouped]


def test_json_has_the_fields_that_programs_know_and_no_others(run_command: RunCommand, index: Path) -> None:
    [hit] = hits(run_command, index, "--top-k", "1")
    assert list(hit) == [
        "rank",
        "video",
        "start",
        "end",
        "score",
        "level_scores",
        "ranges",
        "moments",
        "sources",
        "gone",
    ]


def test_number_of_candidates_is_reported_where_not_all_videos_are_scored(
    run_command: RunCommand, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 2)
    _, _, err = run_command("search", "a red circle", "--index", index, "--top-k", "1")
    assert f"candidates of {len(LanceIndex.open(index))} videos; they hold" in err


@pytest.mark.parametrize("score", ["nan", "inf", "high"])
def test_a_score_that_is_no_number_is_refused(
    run_command: RunCommand, index: Path, score: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_command("search", "red", "--index", index, "--min-score", score)
    assert f"argument --min-score: '{score}' is not a number" in capsys.readouterr().err


def test_an_empty_text_is_refused(run_command: RunCommand, index: Path) -> None:
    code, out, err = run_command("search", " ", "--index", index)
    assert (code, out) == (1, "")
    assert "TEXT is empty" in err


def test_weights_of_levels_change_the_score_as_they_say(run_command: RunCommand, index: Path) -> None:
    for hit in hits(run_command, index, "--level-weights", "frame=0.25,video=2"):
        levels = hit["level_scores"]
        assert isinstance(levels, dict)
        assert hit["score"] == pytest.approx(0.25 * levels["frame"] + 2 * levels["video"], abs=1e-6)


def test_weight_of_a_level_that_the_model_does_not_have_is_one_sentence(run_command: RunCommand, index: Path) -> None:
    code, out, err = run_command("search", "x", "--index", index, "--level-weights", "speech=1")
    assert (code, out) == (1, "")
    assert err.strip().splitlines()[-1] == (
        "video-colbert: --level-weights names 'speech'; the model scores by frame, video"
    )


def test_hits_of_an_index_that_learned_it_are_as_likely_as_they_are_and_it_tells_when_it_has_grown(
    run_command: RunCommand, index: Path
) -> None:
    weights = {"frame": 1.0, "video": 1.0}
    confidence = fit_confidence(judged_lists(60), num_videos=1, sources=("video",), level_weights=weights)
    with open_index(index) as opened:
        opened.stored.set_notes(replace(opened.stored.notes, confidence=confidence))
    found = hits(run_command, index)
    expected = confidence.probabilities([(str(hit["video"]), float(str(hit["score"]))) for hit in found])
    assert [hit["probability"] for hit in found] == pytest.approx(list(expected), abs=1e-3)
    code, out, err = run_command("search", "a red circle", "--index", index, "--min-probability", "1")
    assert (code, out) == (0, "Nothing is that likely: no video is right with a probability of 1 or more.\n")
    assert "The index held 1 videos when it learned how likely its hits are right" in err
    for other in (("--where", "year > 2000"), ("--level-weights", "video=0.5"), ("--all-windows",)):
        code, _, err = run_command("search", "a red circle", "--index", index, "--min-probability", "0.1", *other)
        assert code == 1
        assert "how likely these hits are right is not known" in err
