import json
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.dataset_builders.small_benchmarks import write_msrvtt
from tests.video_files import write_bad_files, write_clip


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_msrvtt(folder)
    for seed in range(6):
        write_clip(folder / f"videos/video{seed}.mp4", seed)
    return folder


def test_good_videos_give_a_table_and_the_coverage_of_each_split(benchmark: Path, run_command: RunCommand) -> None:
    (benchmark / "videos/video5.mp4").unlink()
    code, out, _ = run_command("prepare", "msrvtt", "--data-dir", benchmark, "--workers", "1")
    assert code == 0
    lines = out.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["videos", "5"],
        ["examined", "now", "5"],
        ["good", "5"],
        ["bad", "0"],
    ]
    assert f"manifest: {benchmark / 'video_manifest.jsonl'}" in lines
    assert any(line.startswith("msrvtt, protocol 1k-A, train: 4 of 4 videos;") for line in lines)
    assert any(line.startswith("msrvtt, protocol 1k-A, test: 1 of 2 videos;") for line in lines)
    assert "- missing videos: video5" in lines


def test_bad_videos_are_listed_with_exit_code_3_and_looked_at_once(benchmark: Path, run_command: RunCommand) -> None:
    bad = write_bad_files(benchmark / "videos")
    command = ("prepare", "msrvtt", "--data-dir", benchmark, "--workers", "1")
    code, out, _ = run_command(*command)
    assert code == 3
    listed = {line.split(": ")[1] for line in out.splitlines() if line.startswith("bad: ")}
    assert listed == {path.relative_to(benchmark).as_posix() for path in bad.values()}
    code, again, _ = run_command(*command)
    assert code == 3
    assert "examined now  0" in again
    assert [line for line in again.splitlines() if line.startswith("bad: ")] == [
        line for line in out.splitlines() if line.startswith("bad: ")
    ]


def test_copies_have_the_short_side_and_fps_asked_for(
    tmp_path: Path, benchmark: Path, run_command: RunCommand
) -> None:
    copies = tmp_path / "small"
    sizes = ("--output-dir", copies, "--short-side", "16", "--fps", "2")
    assert run_command("prepare", "msrvtt", "--data-dir", benchmark, "--workers", "1", *sizes)[0] == 0
    assert run_command("prepare", "video_folder", "--data-dir", copies, "--workers", "1")[0] == 0
    records = [json.loads(line) for line in (copies / "video_manifest.jsonl").read_text().splitlines()]
    assert {(row["width"], row["height"], row["fps"]) for row in records} == {(16, 16, 2.0)}
    assert len(records) == 6


def test_videos_without_annotations_are_checked_and_that_is_said(tmp_path: Path, run_command: RunCommand) -> None:
    write_clip(tmp_path / "video0.mp4", 0)
    code, out, err = run_command("prepare", "msrvtt", "--data-dir", tmp_path, "--workers", "1")
    assert code == 0
    assert "1 of" not in out
    assert "not compared with a list" in err
    assert "MSRVTT_JSFUSION_test.csv" in err or "MSRVTT_train.9k.csv" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("msrvtt", "--data-dir", "{data}/none"), "no such --data-dir: "),
        (
            ("msrvtt", "--data-dir", "{data}", "--protocol", "1k-B"),
            "unknown protocol '1k-B' of msrvtt; there are 1k-A",
        ),
        (("video_folder", "--data-dir", "{data}", "--protocol", "1k-A"), "video_folder has no protocols"),
        (("video_folder", "--data-dir", "{data}/annotations"), "no video file under "),
        (("msrvtt", "--data-dir", "{data}", "--short-side", "16"), "say with --output-dir where they go"),
        (("msrvtt", "--data-dir", "{data}", "--output-dir", "{data}/x", "--fps", "-1"), "fps must lie between"),
        (("msrvtt", "--data-dir", "{data}", "--output-dir", "{data}/x", "--fps", "1"), "lies within"),
    ],
)
def test_mistakes_give_one_sentence_and_exit_code_1(
    benchmark: Path, run_command: RunCommand, arguments: tuple[str, ...], message: str
) -> None:
    (benchmark / "annotations").mkdir()
    code, out, err = run_command("prepare", *(argument.format(data=benchmark) for argument in arguments))
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("video-colbert: ")
    assert message in line


def test_a_malformed_annotation_file_is_named_with_its_line(benchmark: Path, run_command: RunCommand) -> None:
    file = benchmark / "MSRVTT_JSFUSION_test.csv"
    file.write_text("video_id,sentence\nvideo4,\n")
    code, out, err = run_command("prepare", "msrvtt", "--data-dir", benchmark)
    assert (code, out) == (1, "")
    assert err == f"video-colbert: {file}, line 2: expected a video_id and a sentence\n"
