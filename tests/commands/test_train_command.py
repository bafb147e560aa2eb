from __future__ import annotations

import logging

import pytest

from video_colbert.cli import main


def test_help_lists_the_arguments_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("usage: video-colbert train ")
    assert "--backbone_learning_rate" in shown
    assert "--recipe" in shown


@pytest.mark.parametrize("flag", ["--hold_out", "--hold-out"])
def test_flags_are_taken_with_either_sign(flag: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert main(["train", "--backbone", "a/b", flag, "0"]) == 1
    assert caplog.messages == ["video-colbert train: hold_out is 0; it must be at least 1."]


def test_an_argument_that_there_is_not_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--backbone", "a/b", "--no_such", "1"])
    assert stopped.value.code == 2
