import functools
import json
from pathlib import Path

import numpy as np
import pytest

from tests.commands.conftest import RunCommand
from tests.dataset_builders.small_benchmarks import write_csv, write_msrvtt
from tests.video_files import write_bad_files, write_clip
from video_colbert.dataset_builders import MovingShapes, MovingShapesConfig, write_moving_shapes
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.hub.evaluation_files import read_evaluation_results

CAPTIONS = [
    f"a {colour} circle {action}" for colour in ("red", "blue") for action in ("grows", "rests", "turns", "runs")
]


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Eight videos under MSR-VTT's test list."""
    folder = tmp_path / "data"
    write_msrvtt(folder)
    rows = [[f"ret{i}", f"msr{i}", f"video{i}", text] for i, text in enumerate(CAPTIONS)]
    write_csv(folder / "MSRVTT_JSFUSION_test.csv", ["key", "vid_key", "video_id", "sentence"], *rows)
    for seed in range(len(CAPTIONS)):
        write_clip(folder / f"videos/video{seed}.mp4", seed)
    return folder


def frame_ranks(checkpoint: Path, videos: list[Path]) -> list[int]:
    """Ranks of each caption's video by the mean over its tokens of the best frame, one pair at a time."""
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint, device="cpu")
    bags = []
    for video in videos:
        (encoded,) = encoder.encode_videos([VideoClip(str(video))])
        assert isinstance(encoded, EncodedVideo)
        bags.append(encoded.embeds["frame"].numpy())
    ranks = []
    for place, caption in enumerate(CAPTIONS):
        query = encoder.encode_queries([caption])
        tokens = query.bags_of("frame").embeds[0][query.bags_of("frame").mask[0]].numpy()
        scores = np.array([(tokens @ bag.T).max(axis=1).mean() for bag in bags])
        ranks.append(1 + int((scores > scores[place]).sum()))
    return ranks


def test_figures_are_those_of_an_independent_computation(
    tmp_path: Path, benchmark: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    output = tmp_path / "report.json"
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "msrvtt", "--data-dir", benchmark)
    code, out, err = run_command(*command, "--output", output, "--batch-size", "3", "--device", "cpu")
    assert code == 0, err
    report = json.loads(output.read_text())
    assert [(item["level"], item["direction"]) for item in report] == [
        (level, direction) for level in ("frame", "video", "sum") for direction in ("text_to_video", "video_to_text")
    ]
    ranks = np.array(frame_ranks(checkpoint_folder, [benchmark / f"videos/video{i}.mp4" for i in range(8)]))
    first = report[0]
    assert {name: first["metrics"][name] for name in ("R@1", "R@5", "R@10", "MdR", "MnR")} == pytest.approx(
        {
            **{f"R@{k}": 100 * (ranks <= k).mean() for k in (1, 5, 10)},
            "MdR": np.median(ranks),
            "MnR": ranks.mean(),
        }
    )
    assert (first["dataset"], first["protocol"], first["split"]) == ("msrvtt", "1k-A", "test")
    lines = out.splitlines()
    assert lines[1] == "msrvtt, protocol 1k-A, split test: 8 of 8 videos, 8 captions"
    assert lines[2].split() == ["level", "direction", "R@1", "R@5", "R@10", "MdR", "MnR", "R@1", "95", "%"]
    figures = [f"{first['metrics'][name]:.1f}" for name in ("R@1", "R@5", "R@10", "MdR", "MnR")]
    low, high = first["confidence_intervals"]["R@1"]
    assert lines[3].split()[4:] == [*figures, f"{low:.1f}", "to", f"{high:.1f}"]
    assert low <= first["metrics"]["R@1"] <= high
    assert len(lines) == 9
    assert "compare with no others: number of videos: expected 1000, found 8" in err


def test_missing_videos_are_an_error_that_names_them_and_n_of_n_when_allowed(
    tmp_path: Path, benchmark: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    for number in (1, 4, 6):
        (benchmark / f"videos/video{number}.mp4").unlink()
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "msrvtt", "--data-dir", benchmark)
    code, out, err = run_command(*command)
    assert (code, out) == (1, "")
    assert err == (
        f"video-colbert: 3 of 8 videos are not in {benchmark}: video1, video4, video6; put them there, or go on "
        "without them with --allow-missing\n"
    )
    # Under this name the results are part of a checkpoint.
    code, out, _ = run_command(*command, "--allow-missing", "--output", tmp_path / "evaluation.json")
    assert code == 3
    assert "split test: 5 of 8 videos, 5 captions" in out
    assert [line for line in out.splitlines() if line.startswith("  ")] == [
        f"  video{number}: the file is missing" for number in (1, 4, 6)
    ]
    results = read_evaluation_results(tmp_path)
    assert {(it.num_videos, it.num_expected_videos, it.num_queries) for it in results} == {(5, 8, 5)}


def test_bad_videos_are_left_out_and_listed_with_exit_code_3(
    benchmark: Path, tmp_path: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    bad = write_bad_files(tmp_path / "bad")
    for number, path in enumerate(bad.values()):
        path.rename(benchmark / f"videos/video{number}.mp4")
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "msrvtt", "--data-dir", benchmark)
    code, out, _ = run_command(*command)
    assert code == 3
    assert "4 of 8 videos, 4 captions" in out
    listed = [line.split(":")[0].strip() for line in out.splitlines() if line.startswith("  ")]
    assert listed == ["video0", "video1", "video2", "video3"]
    for number in range(4, 8):
        (benchmark / f"videos/video{number}.mp4").write_bytes(b"")
    code, out, err = run_command(*command)
    assert (code, out) == (1, "")
    assert "there is nothing to evaluate: of 8 videos, 0 were encoded; the first bad one is video0: " in err


def test_truncated_captions_are_counted(
    tmp_path: Path, checkpoint_folder: Path, run_command: RunCommand, clip_backbone_folder: Path
) -> None:
    lines = []
    for number in range(2):
        write_clip(tmp_path / f"videos/{number}.mp4", number)
        lines.append(json.dumps({"video": f"{number}.mp4", "caption": "a man rides " * (1 + 8 * number)}))
    (tmp_path / "videos/captions.jsonl").write_text("\n".join(lines))
    command = ("--dataset", "video_folder", "--data-dir", tmp_path / "videos", "--output", tmp_path / "report.json")
    code, out, err = run_command("evaluate", "--model", checkpoint_folder, *command)
    assert code == 0, err
    assert "1 of 2 captions are longer than the text tower holds; their ends were cut off." in out
    assert out.splitlines()[1] == "video_folder, split test: 2 of 2 videos, 2 captions"
    assert {item["truncated_queries"] for item in json.loads((tmp_path / "report.json").read_text())} == {1}

    code, out, _ = run_command("evaluate", "--model", clip_backbone_folder, *command)
    assert code == 0
    assert out.splitlines()[0].endswith(", zero-shot")
    assert {item["level"] for item in json.loads((tmp_path / "report.json").read_text())} == {"frame", "sum"}


def test_moving_shapes_are_made_on_the_spot(
    tmp_path: Path, checkpoint_folder: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = MovingShapesConfig(num_validation=4)
    small = functools.partial(MovingShapes, num_validation=4)
    monkeypatch.setattr("video_colbert.dataset_builders.shapes.moving_shapes.MovingShapes", small)
    command = ("evaluate", "--model", checkpoint_folder, "--split", "validation", "--output", tmp_path / "a.json")
    code, out, err = run_command(*command, "--dataset", "moving_shapes")
    assert code == 0, err
    assert "moving_shapes, split validation: 4 of 4 videos, 4 captions" in out
    made = [item["metrics"] for item in json.loads((tmp_path / "a.json").read_text())]

    folder = write_moving_shapes(tmp_path / "shapes", config, "validation", num_proc=1)
    code, out, err = run_command(*command, "--dataset", "video_folder", "--data-dir", folder)
    assert code == 0, err
    assert [item["metrics"] for item in json.loads((tmp_path / "a.json").read_text())] == made


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "msrvtt"), "msrvtt needs --data-dir"),
        (("--dataset", "video_folder"), "video_folder needs --data-dir"),
        (("--dataset", "moving_shapes", "--data-dir", "{data}"), "moving_shapes takes no --data-dir"),
        (("--dataset", "video_folder", "--data-dir", "{data}", "--protocol", "x"), "video_folder takes no --protocol"),
        (("--dataset", "moving_shapes", "--video-dir", "{data}"), "moving_shapes takes no --video-dir"),
        (("--dataset", "moving_shapes", "--split", "tests"), "tests"),
        (("--dataset", "msrvtt", "--data-dir", "{data}", "--split", "validation"), "unknown split 'validation' of"),
        (("--dataset", "msvd", "--data-dir", "{data}"), "no annotations of msvd (standard, test) in "),
        (("--dataset", "msrvtt", "--data-dir", "{data}", "--output", "{data}/no/r.json"), "there is no such folder"),
        (
            ("--dataset", "video_folder", "--data-dir", "{data}"),
            "8 videos but no captions; put a captions.jsonl or captions.csv",
        ),
    ],
)
def test_mistakes_give_one_sentence_and_exit_code_1(
    benchmark: Path, checkpoint_folder: Path, run_command: RunCommand, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run_command(
        "evaluate", "--model", checkpoint_folder, *(argument.format(data=benchmark) for argument in arguments)
    )
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("video-colbert: ")
    assert message in line


def test_weights_of_levels_are_in_the_sum_and_are_told(
    tmp_path: Path, benchmark: Path, checkpoint_folder: Path, run_command: RunCommand
) -> None:
    command = ("evaluate", "--model", checkpoint_folder, "--dataset", "msrvtt", "--data-dir", benchmark)
    output = tmp_path / "results.json"
    code, out, _ = run_command(*command, "--level-weights", "video=0", "--output", output)
    assert code == 0
    assert "8 captions; levels weighted: frame 1, video 0" in out
    results = {(it["level"], it["direction"]): it for it in json.loads(output.read_text())}
    for direction in ("text_to_video", "video_to_text"):
        assert results["sum", direction]["metrics"] == results["frame", direction]["metrics"]
        assert results["sum", direction]["level_weights"] == {"frame": 1.0, "video": 0.0}
    code, _, err = run_command(*command, "--level-weights", "speech=1")
    assert code == 1
    assert "--level-weights names 'speech'; the model scores by frame, video" in err
