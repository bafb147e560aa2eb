import json
from pathlib import Path

import pytest

from tests.commands.conftest import RunCommand
from tests.video_files import write_clip

CAPTIONS = [f"a {colour} circle {motion}" for colour in ("red", "blue") for motion in ("grows", "rests", "turns")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    lines = []
    for number, caption in enumerate(CAPTIONS):
        write_clip(folder / f"{number}.mp4", number)
        lines.append(json.dumps({"video": f"{number}.mp4", "caption": caption}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def command(folder: Path, checkpoint_folder: Path) -> list[str | Path]:
    split = ("--split", "train", "--device", "cpu")
    return ["evaluate", "--model", checkpoint_folder, "--dataset", "video_folder", "--data-dir", folder, *split]


def test_promotion_is_measured_with_defences_and_written(
    tmp_path: Path, command: list[str | Path], run_command: RunCommand, checkpoint_folder: Path
) -> None:
    report, made = tmp_path / "attack.json", tmp_path / "made"
    flags = "--attack promote --attack-budget 4 --attack-steps 3 --attack-topic red --attack-targets 2"
    more: list[str | Path] = ["--attack-videos", "2"]
    more += [
        "--attack-defences",
        "jpeg:50",
        "jitter",
        "--attack-index-size",
        "1000",
        "--attack-model",
        checkpoint_folder,
    ]
    code, out, err = run_command(*command, *flags.split(), *more, "--attack-output", made, "--output", report)
    assert code == 0, err
    for part in ("promote, by the gradients of", "unseen (2 queries)", "after, jpeg:50", "index of 1,000"):
        assert part in out
    content = json.loads(report.read_text())
    assert content["settings"]["budget"] == 4
    assert all(video["change"]["largest"] == 4 for video in content["videos"])
    assert len(list(made.iterdir())) == len(content["videos"]) == 2
    # Videos of the topic are never promoted for it.
    assert all(int(Path(video["video_id"]).stem) >= 3 for video in content["videos"])


def test_suppression_and_swaps_run_and_repeat(command: list[str | Path], run_command: RunCommand) -> None:
    suppress = [*command, "--attack", "suppress", "--attack-steps", "2", "--attack-videos", "2"]
    code, out, err = run_command(*suppress)
    assert code == 0, err
    assert "suppress, white box: 2 videos" in out
    assert run_command(*suppress)[1] == out
    words = [*command, "--attack", "words", "--attack-swaps", "letters", "--attack-queries", "3"]
    code, out, err = run_command(*words)
    assert code == 0, err
    assert "words: 3 queries, at most 1 swaps of neighbouring letters" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--attack-budget 4", "--attack-budget goes with --attack promote or suppress or words"),
        ("--attack words --attack-steps 3", "--attack-steps goes with --attack promote or suppress"),
        ("--attack suppress --attack-topic red", "--attack-topic goes with --attack promote"),
        ("--attack promote --attack-targets few", "--attack-targets is 'few'"),
        ("--attack promote --attack-topic elephant", "no query contains all words of the topic 'elephant'"),
        ("--attack promote --dual-softmax", "--dual-softmax does not go with --attack"),
        ("--attack promote --dtype int8", "leave --dtype and --backend out"),
        ("--attack promote --attack-defences blur", "there is no defence 'blur'"),
        ("--attack promote --attack-budget 300", "budget is 300"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused_in_a_sentence(
    command: list[str | Path], run_command: RunCommand, flags: str, message: str
) -> None:
    code, _, err = run_command(*command, *flags.split())
    assert code == 1
    assert message in err
