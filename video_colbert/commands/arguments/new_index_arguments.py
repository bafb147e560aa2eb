"""The arguments of making an index: what it is made with, which stays so for good."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.numbers import positive_int, seconds
from video_colbert.errors import IndexStoreError

if TYPE_CHECKING:
    from video_colbert.index import WindowSettings


def add_making_arguments(group: argparse._ArgumentGroup) -> None:
    """Adds --num-frames, --windows, --window-overlap, --codec and --merge-similarity."""
    group.add_argument(
        "--num-frames",
        type=positive_int,
        metavar="N",
        help="frames sampled from each video or window (default: the number that the model was made for)",
    )
    group.add_argument(
        "--windows",
        metavar="auto|shots|SECONDS|none",
        help="how long videos are cut: one of more than a minute into windows of about 20 s that end at scene "
        "changes, each at its shots, into windows of this length, or not at all (default: auto)",
    )
    group.add_argument(
        "--window-overlap", type=seconds, metavar="SECONDS", help="that windows of a fixed length share (default: 0)"
    )
    group.add_argument(
        "--codec",
        choices=("float16", "int8", "compact", "float32"),
        help="how tokens are stored: int8 and compact, half and a quarter of the bytes, lose a little of each score; "
        "float32, twice the bytes, loses nothing (default: float16)",
    )
    group.add_argument(
        "--merge-similarity",
        type=float,
        metavar="COSINE",
        help="merge tokens of neighbouring frames that are at least this similar (default: none)",
    )


def asked_windows(arguments: argparse.Namespace) -> WindowSettings | str | None:
    """How videos are to be cut; None where nothing is said of it.

    Raises:
        IndexStoreError: --windows is none of its values, or --window-overlap does not go with it.
    """
    from video_colbert.index import WindowSettings

    said, overlap = arguments.windows, arguments.window_overlap
    if said in (None, "auto", "shots", "none"):
        if overlap is not None:
            raise IndexStoreError("--window-overlap needs windows of a fixed length, such as --windows 20")
        return said if said is None else str(said)
    try:
        length = float(said)
    except ValueError:
        raise IndexStoreError(f"--windows is auto, shots, none or a number of seconds, not {said!r}") from None
    try:
        return WindowSettings(length, overlap or 0.0)
    except ValueError as error:
        raise IndexStoreError(f"--windows: {error}") from error
