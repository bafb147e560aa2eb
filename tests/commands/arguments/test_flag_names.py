from __future__ import annotations

import pytest

from video_colbert.commands.arguments.flag_names import name_flags, with_dashes


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["--data_dir", "a_b"], ["--data-dir", "a_b"]),
        (["--data_dir=a_b"], ["--data-dir=a_b"]),
        (["--data-dir", "a"], ["--data-dir", "a"]),
        (["-o_x", "a--b_c"], ["-o_x", "a--b_c"]),
        (["--top_k", "3", "--", "--a_b"], ["--top-k", "3", "--", "--a_b"]),
        (["--not a_flag"], ["--not a_flag"]),
    ],
)
def test_only_the_names_of_flags_are_spelled_anew(typed: list[str], read: list[str]) -> None:
    assert with_dashes(typed) == read


NAMES = ("num_frames", "codec", "windows", "prune_all", "level_weights")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "made with num_frames=6, not num_frames=12; leave it out",
            "made with --num-frames 6, not --num-frames 12; leave it out",
        ),
        ("made with codec='compact'.", "made with --codec compact."),
        ("made with windows=20.5, not 20", "made with --windows 20.5, not 20"),
        ("prune with prune_all=True if", "prune with --prune-all if"),
        ("level_weights names 'speech'", "--level-weights names 'speech'"),
        ("num_frames is 99", "--num-frames is 99"),
        # What is no argument stays: other words, paths, quoted names, and a word that is also an argument's name.
        ("the codec of the windows", "the codec of the windows"),
        ("/videos/num_frames/a.mp4 and num_frames.mp4", "/videos/num_frames/a.mp4 and num_frames.mp4"),
        ("there is no column 'num_frames' to filter by", "there is no column 'num_frames' to filter by"),
        (
            "batch_size=3 is no flag here, my_num_frames=3 neither",
            "batch_size=3 is no flag here, my_num_frames=3 neither",
        ),
    ],
)
def test_arguments_in_a_message_are_named_as_flags_and_nothing_else_is(message: str, said: str) -> None:
    assert name_flags(message, NAMES) == said
