from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import video_colbert
from tests.video_files import copy_real_clips, write_bad_files, write_clip, write_wav
from tests.warm_python import warm_python
from video_colbert.cli import main


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed in range(3):
        write_clip(folder / f"clip{seed}.mp4", seed)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_real_clips_are_found_and_bad_files_named_with_reasons(
    tmp_path: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, bad = copy_real_clips(tmp_path / "videos"), write_bad_files(tmp_path / "videos")
    code, out, _ = run(
        capsys, "index", tmp_path / "videos", "--model", checkpoint_folder, "--index", tmp_path / "index"
    )
    assert code == 3
    assert "2 added, 4 bad;" in out
    listed = dict(line.strip().split(": ", 1) for line in out.splitlines() if line.startswith("  "))
    assert listed.keys() == set(map(str, bad.values()))
    assert all(listed.values())
    assert "empty" in listed[str(bad["empty"])]
    assert "video" in listed[str(bad["audio"])]

    code, out, _ = run(
        capsys, "search", "a rabbit", "--model", checkpoint_folder, "--index", tmp_path / "index", "--json"
    )
    assert code == 0
    assert {hit["video"] for hit in json.loads(out)["hits"]} == set(map(str, real))


def test_json_has_the_documented_fields(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index")[0] == 0
    code, out, _ = run(capsys, "search", "a red circle grows", "--index", tmp_path / "index", "--json", "--top-k", "2")
    assert code == 0
    result = json.loads(out)
    assert result.keys() == {"query", "model", "hits"}
    assert result["query"] == "a red circle grows"
    assert result["model"] == str(checkpoint_folder)
    assert [hit["rank"] for hit in result["hits"]] == [1, 2]
    for hit in result["hits"]:
        fields = ["rank", "video", "start", "end", "score", "level_scores", "ranges", "moments", "sources", "gone"]
        assert list(hit) == fields
        assert list(hit["level_scores"]) == ["frame", "video"]
        assert hit["score"] == pytest.approx(sum(hit["level_scores"].values()), abs=1e-6)
        assert (hit["start"], hit["end"]) == (0.0, 3.0)
        assert [moment["word"] for moment in hit["moments"]] == ["a", "red", "circle", "grows"]
        assert all(moment.keys() == {"word", "time", "similarity"} for moment in hit["moments"])
        assert all(0 <= moment["time"] < 3 for moment in hit["moments"])
    assert result["hits"][0]["score"] >= result["hits"][1]["score"]


def test_text_shows_rank_file_times_and_moments(
    tmp_path: Path,
    videos: Path,
    checkpoint_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(capsys, "index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index")
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(
        capsys, "search", "a red circle", "--index", "index", "--top-k", "1", "--html", tmp_path / "page.html"
    )
    assert code == 0
    hit, *ranges = out.splitlines()
    assert re.fullmatch(r" 1\. videos/\w+\.mp4  0:00\.0-0:03\.0  score -?0\.\d{3}", hit)
    assert sorted(re.findall(r"(\w+) 0:0\d\.\d(?!-)", " ".join(ranges))) == ["circle", "red"]
    assert "<video" in (tmp_path / "page.html").read_text()
    code, out, _ = run(capsys, "search", "a red circle", "--index", "index", "--scores")
    assert len(re.findall(r"score \S+ \(frame \S+, video \S+\)", out)) == 3


def test_paths_alone_can_be_piped_and_what_scores_too_little_is_left_out(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index")
    search = ("search", "a red circle", "--index", tmp_path / "index")
    hits = json.loads(run(capsys, *search, "--json")[1])["hits"]
    assert run(capsys, *search, "--paths-only")[1].splitlines() == [hit["video"] for hit in hits]
    between = (hits[0]["score"] + hits[1]["score"]) / 2
    assert run(capsys, *search, "--paths-only", f"--min-score={between}")[1].splitlines() == [hits[0]["video"]]
    code, out, _ = run(capsys, *search, "--min-score=100")
    assert (code, out) == (0, "Nothing is that similar: no video has a score of 100 or more.\n")
    assert run(capsys, *search, "--min-score=100", "--paths-only")[1] == ""


def test_what_names_hold_reaches_a_program_exactly_and_a_terminal_harmlessly(
    tmp_path: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "red\x1b[31m\nb\u202e.mp4"
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / name, 0)
    (folder / f"bad {name}").write_bytes(b"")
    code, out, err = run(capsys, "index", folder, "--model", checkpoint_folder, "--index", tmp_path / "index")
    assert code == 3
    assert r"bad red\x1b[31m\nb\u202e.mp4: " in out
    outputs = [out, err]
    table = run(capsys, "search", "red\x1b[32m", "--index", tmp_path / "index")
    assert r"red\x1b[31m\nb\u202e.mp4" in table[1]
    outputs += table[1:]
    for text in outputs:
        assert not set(text) & {"\x1b", "\u202e"}
    out = run(capsys, "search", "red\x1b[32m", "--index", tmp_path / "index", "--json")[1]
    assert json.loads(out)["query"] == "red\x1b[32m"
    assert json.loads(out)["hits"][0]["video"] == str(folder / name)


def test_zero_shot_search_gives_moments_of_phrases_and_no_video_level(
    tmp_path: Path, videos: Path, clip_backbone_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "index", videos, "--model", clip_backbone_folder, "--index", tmp_path / "index")
    code, out, _ = run(capsys, "search", "a red circle", "--index", tmp_path / "index", "--json")
    assert code == 0
    for hit in json.loads(out)["hits"]:
        assert hit["level_scores"] == {"frame": hit["score"]}
        assert [moment["word"] for moment in hit["moments"]] == ["red circle"]
    # A query that is a phrase as it stands has the moment of its best frame, whose similarity is the score.
    out = run(capsys, "search", "red circle", "--index", tmp_path / "index", "--json")[1]
    for hit in json.loads(out)["hits"]:
        assert hit["moments"][0]["similarity"] == pytest.approx(hit["score"], abs=2e-3)


def test_indexing_again_adds_only_what_is_new(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index")
    assert "3 added;" in run(capsys, *command)[1]
    assert "0 added, 3 already there;" in run(capsys, *command)[1]
    write_clip(videos / "clip9.mp4", 9)
    (videos / "copy.mp4").write_bytes((videos / "clip0.mp4").read_bytes())
    (videos / "clip1.mp4").rename(videos / "renamed.mp4")
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert "1 added, 2 already there, 1 moved, 1 of the same content as another;" in out
    assert "holds 4 videos" in out
    _, out, _ = run(capsys, "search", "a red circle", "--index", tmp_path / "index", "--json")
    found = {Path(hit["video"]).name for hit in json.loads(out)["hits"]}
    assert found == {"clip0.mp4", "renamed.mp4", "clip2.mp4", "clip9.mp4"}


def test_files_that_swap_names_keep_their_contents_searchable(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index")
    search = ("search", "a red circle", "--index", tmp_path / "index", "--json")
    run(capsys, *command)
    before = {hit["video"]: hit["score"] for hit in json.loads(run(capsys, *search)[1])["hits"]}
    (videos / "clip0.mp4").rename(tmp_path / "aside")
    (videos / "clip1.mp4").rename(videos / "clip0.mp4")
    (tmp_path / "aside").rename(videos / "clip1.mp4")
    assert "0 added, 1 already there, 2 moved;" in run(capsys, *command)[1]
    after = {hit["video"]: hit["score"] for hit in json.loads(run(capsys, *search)[1])["hits"]}
    first, second = str(videos / "clip0.mp4"), str(videos / "clip1.mp4")
    assert after == {**before, first: before[second], second: before[first]}


def test_sound_files_in_a_folder_are_reported_and_other_files_counted(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(videos / "sound.wav")
    (videos / "notes.txt").write_text("notes")
    code, out, err = run(capsys, "index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index")
    assert code == 3
    assert f"  {videos / 'sound.wav'}: " in out
    assert "Left out, no media files: 1 .txt." in err


def test_user_mistakes_give_one_sentence_and_exit_code_1(
    tmp_path: Path,
    videos: Path,
    checkpoint_folder: Path,
    clip_backbone_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    index, missing = tmp_path / "index", tmp_path / "none"
    run(capsys, "index", videos, "--model", checkpoint_folder, "--index", index)
    mistakes: list[tuple[tuple[str | Path, ...], str]] = [
        (("search", "x", "--model", checkpoint_folder, "--index", missing), f"there is no index in {missing}"),
        (
            ("index", tmp_path / "empty", "--model", checkpoint_folder, "--index", index),
            f"there is no video file in {tmp_path / 'empty'}",
        ),
        (
            ("index", missing, "--model", checkpoint_folder, "--index", index),
            f"there is no file or folder {missing}",
        ),
        (("index", videos, "--model", "no-such/model", "--index", index), "there is no model 'no-such/model'"),
        (("search", "x", "--model", "no-such/model", "--index", index), "there is no model 'no-such/model'"),
        (
            ("search", "x", "--model", clip_backbone_folder, "--index", index),
            f"was made with {checkpoint_folder} at revision",
        ),
        (
            ("index", videos, "--model", clip_backbone_folder, "--index", index),
            f"not with {clip_backbone_folder} at revision",
        ),
        (
            ("index", videos, "--model", checkpoint_folder, "--index", index, "--num-frames", "3"),
            "was made with --num-frames 6, not 3",
        ),
        (
            ("index", videos, "--model", checkpoint_folder, "--index", missing, "--num-frames", "99"),
            "--num-frames is 99",
        ),
    ]
    for arguments, message in mistakes:
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (1, ""), arguments
        last = err.strip().splitlines()[-1]
        assert last.startswith("video-colbert: "), err
        assert message in last
        assert "Traceback" not in err
    assert not missing.exists()


def test_interruption_keeps_what_was_encoded(
    tmp_path: Path,
    videos: Path,
    checkpoint_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from video_colbert.encoding.encoder import VideoColBERTEncoder

    encode_clips = VideoColBERTEncoder.encode_decoded
    calls = 0

    def interrupted(encoder: VideoColBERTEncoder, batch: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return encode_clips(encoder, batch)  # type: ignore[arg-type]

    command = ("index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index", "--batch-size", "1")
    with monkeypatch.context() as patch:
        patch.setattr(VideoColBERTEncoder, "encode_decoded", interrupted)
        assert run(capsys, *command)[0] == 130
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert "1 added, 2 already there; " in out


def test_truncated_query_is_said(
    tmp_path: Path, videos: Path, checkpoint_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "index", videos, "--model", checkpoint_folder, "--index", tmp_path / "index")
    _, _, err = run(capsys, "search", "a man rides a bicycle " * 9, "--index", tmp_path / "index")
    assert "its end was cut off" in err


def test_version_and_help_answer_without_loading_torch() -> None:
    code = (
        "import sys, video_colbert.cli as cli\n"
        "try: cli.main(['--version'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"video-colbert {video_colbert.__version__}"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([warm_python(), "-m", "video_colbert", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, f"video-colbert {video_colbert.__version__}")


def test_inference_imports_nothing_of_the_training_extra() -> None:
    code = (
        "import sys, video_colbert, video_colbert.index.results_page, video_colbert.evaluation.metrics\n"
        "[getattr(video_colbert, name) for name in video_colbert.__all__]\n"
        "sys.exit(' '.join({'datasets', 'evaluate'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([warm_python(), "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_wrong_arguments_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["search", "x", "--index", "i", "--top-k", "0"])
    assert stopped.value.code == 2
    assert "'0' is not a whole number from 1" in capsys.readouterr().err
