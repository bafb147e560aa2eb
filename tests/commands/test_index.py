from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processing.made_videos import write_grey
from tests.video_files import write_clip
from video_colbert.cli import main
from video_colbert.index import LanceIndex


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    for seed in range(3):
        write_clip(folder / f"clip{seed}.mp4", seed)
    return folder


@pytest.fixture
def command(tmp_path: Path, videos: Path, checkpoint_folder: Path) -> list[str]:
    return ["index", str(videos), "--model", str(checkpoint_folder), "--index", str(tmp_path / "index")]


def test_prune_removes_what_is_gone_and_says_so(
    tmp_path: Path, videos: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(command)
    (videos / "clip1.mp4").unlink()
    assert main(command) == 0
    assert len(LanceIndex.open(tmp_path / "index")) == 3
    capsys.readouterr()
    assert main([*command, "--prune"]) == 0
    assert "0 added, 2 already there, 1 pruned; " in capsys.readouterr().out
    assert {Path(video.path).name for video in LanceIndex.open(tmp_path / "index").videos} == {
        "clip0.mp4",
        "clip2.mp4",
    }


def test_folder_without_its_videos_is_pruned_only_with_the_flag_that_says_so(
    tmp_path: Path, videos: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(command)
    for path in videos.iterdir():
        path.unlink()
    capsys.readouterr()
    assert main([*command, "--prune"]) == 1
    assert f"all files that the index knows in {videos} are gone" in capsys.readouterr().err
    assert len(LanceIndex.open(tmp_path / "index")) == 3
    assert main([*command, "--prune-all"]) == 0
    assert "0 added, 3 pruned; " in capsys.readouterr().out


def test_what_is_passed_over_in_folders_is_told(
    videos: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("notes.txt", "._clip0.mp4", ".DS_Store"):
        (videos / name).write_text("x")
    (videos / "dangling.mp4").symlink_to(videos / "gone.mp4")
    write_clip(videos.parent / "disk" / "clip3.mp4", 3)
    (videos / "link").symlink_to(videos.parent / "disk", target_is_directory=True)
    assert main(command) == 0
    written = capsys.readouterr()
    assert "4 added; " in written.out
    notices = written.err
    assert f"Looked into, folders that links lead to: {videos / 'link'}." in notices
    assert "Left out, no media files: 1 .txt." in notices
    assert "Left out, hidden files and folders: 2." in notices
    assert f"Left out, links to nothing or no files: {videos / 'dangling.mp4'}." in notices


def test_metadata_is_stored_and_absent_names_are_reported(
    tmp_path: Path, videos: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(command)
    table = tmp_path / "about.csv"
    table.write_text("video,year\nclip0.mp4,2019\nvideos/clip1.mp4,2020\nlost.mp4,2021\n")
    capsys.readouterr()
    assert main([*command, "--metadata", str(table)]) == 0
    output = capsys.readouterr()
    assert f"{table} names 1 videos that are not there: lost.mp4." in output.err
    assert "0 added, 3 already there, 2 with other metadata; " in output.out
    years = {Path(video.path).name: video.metadata.get("year") for video in LanceIndex.open(tmp_path / "index").videos}
    assert years == {"clip0.mp4": 2019, "clip1.mp4": 2020, "clip2.mp4": None}


def test_codec_and_merging_are_those_of_the_index_for_good(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--codec", "compact", "--merge-similarity", "0.9"]) == 0
    index = LanceIndex.open(tmp_path / "index")
    assert (index.codec, index.merge_similarity) == ("compact", 0.9)
    assert main(command) == 0
    assert main([*command, "--codec", "float16"]) == 1
    assert "was made with --codec compact, not float16" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "other"), "--merge-similarity", "2"]) == 1
    assert "--merge-similarity must be above 0 and at most 1, got 2.0" in capsys.readouterr().err


def test_a_large_index_is_calibrated_once_when_it_is_made(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 2)
    assert main(command) == 0
    assert not LanceIndex.open(tmp_path / "index").needs_calibration


def test_windows_devices_and_manifest_are_taken(
    tmp_path: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "long.mp4", 5, frames=30)
    manifest = tmp_path / "list.jsonl"
    manifest.write_text(json.dumps({"video": "long.mp4", "genre": "news"}) + "\n")
    options = ["--manifest", str(manifest), "--windows", "3", "--window-overlap", "1", "--device", "cpu,cpu"]
    assert main(["index", "--model", str(checkpoint_folder), "--index", str(tmp_path / "index"), *options]) == 0
    printed = capsys.readouterr().out
    assert printed == f"1 video in 4 windows added; the index in {tmp_path / 'index'} holds 1 video in 4 windows.\n"
    stored = LanceIndex.open(tmp_path / "index").videos
    assert sorted((video.start, video.end) for video in stored) == [(0.0, 3.0), (2.0, 5.0), (4.0, 7.0), (4.5, 7.5)]
    assert all(video.metadata == {"genre": "news"} for video in stored)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window-overlap", "1"], "--window-overlap needs windows of a fixed length, such as --windows 20"),
        (["--windows", "shots", "--window-overlap", "0"], "--window-overlap needs windows of a fixed length"),
        (
            ["--windows", "1", "--window-overlap", "1"],
            "--windows: windows of 1 s can overlap by 0 s to less than that",
        ),
        (["--windows", "0"], "--windows: a window needs a positive number of seconds"),
        (["--windows", "scenes"], "--windows is auto, shots, none or a number of seconds, not 'scenes'"),
        (["--metadata", "none.csv"], "none.csv cannot be read"),
        (["--manifest", "none.txt"], "none.txt cannot be read"),
    ],
)
def test_mistakes_are_one_sentence_and_make_no_index(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main([*command, *options]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("video-colbert: ")
    assert message in last
    assert not (tmp_path / "index").exists()


def test_nothing_to_index_is_said(checkpoint_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "--model", str(checkpoint_folder), "--index", str(tmp_path / "index")]) == 1
    assert "there is nothing to index" in capsys.readouterr().err


def test_a_folder_for_temporary_files_that_is_none_is_told_and_another_used(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    assert main(command) == 0
    written = capsys.readouterr()
    assert "3 added; " in written.out
    assert f"TMPDIR names {tmp_path / 'none'}, which is no folder; " in written.err


# Encodes one clip, says so, and leaves time for an interrupt before the next.
_SLOW_INDEXING = """
import sys, time
from video_colbert.cli import main
from video_colbert.encoding.encoder import VideoColBERTEncoder

if __name__ == "__main__":
    encode, calls = VideoColBERTEncoder.encode_decoded, []

    def slowly(encoder, batch):
        videos = encode(encoder, batch)
        calls.append(batch)
        if len(calls) == 5:
            # An interruption in the very moment in which one is taken leaves that one to the next run.
            time.sleep(1)
            print("encoded", flush=True)
        if len(calls) >= 5:
            time.sleep(2)
        return videos

    VideoColBERTEncoder.encode_decoded = slowly
    sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_keeps_what_was_encoded_ends_the_decoders_and_running_again_continues(
    tmp_path: Path, videos: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3, 30):
        write_clip(videos / f"clip{seed}.mp4", seed)
    script = tmp_path / "slow.py"
    script.write_text(_SLOW_INDEXING)
    with subprocess.Popen(
        [sys.executable, str(script), *command, "--batch-size", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "encoded\n"
        # To the whole group, as a terminal does it.
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1] == "video-colbert: interrupted; what was done is kept"
    assert "Traceback" not in errors
    kept = len(LanceIndex.open(tmp_path / "index"))
    assert 5 <= kept < 30
    deadline = time.monotonic() + 10
    while _group_is_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _group_is_alive(process.pid)
    capsys.readouterr()
    assert main(command) == 0
    assert f"{30 - kept} added, {kept} already there; " in capsys.readouterr().out


def _group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_videos_of_high_dynamic_range_are_named_and_mapped_on_request(
    tmp_path: Path, videos: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_grey(videos / "hdr.mkv", 203, "PQ")
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "Of high dynamic range, taken as stored (1; --tone-map maps them):" in printed
    assert f"  {videos / 'hdr.mkv'}: PQ" in printed.splitlines()
    mapped = [*command[:-1], str(tmp_path / "mapped")]
    assert main([*mapped, "--tone-map"]) == 0
    assert "high dynamic range" not in capsys.readouterr().out
    assert main(["search", "grey", "--index", mapped[-1], "--tone-map"]) == 0


def test_a_file_of_too_many_pixels_is_listed(
    tmp_path: Path, videos: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--max-pixels", "100"]) == 3
    assert "more than the limit of 100 pixels (--max-pixels)" in capsys.readouterr().out
    # The limit is none of what decides a vector: the index takes the same model's vectors without it.
    assert main(command) == 0
    assert len(LanceIndex.open(tmp_path / "index")) == 3
