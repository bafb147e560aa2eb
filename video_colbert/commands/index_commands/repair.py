"""`video-colbert repair`: takes a damaged index back to the last version that reads."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.index_arguments import add_index_argument
from video_colbert.console import ExitCode, write_result

NAME = "repair"
HELP = "take a damaged index back to the last version that reads"
EXAMPLES = ("video-colbert repair --index my_index",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_index_argument(parser, text="folder of the index; nothing in it is deleted")


def run(arguments: argparse.Namespace) -> int:
    """Repairs the index.

    Raises:
        IndexStoreError: there is none, or no version reads.
    """
    from video_colbert.index.lance.repair import SET_ASIDE, counted_texts, repair_index

    repaired = repair_index(arguments.index)
    state = f"{arguments.index}: {repaired.videos} videos{counted_texts(repaired)} in version {repaired.version}"
    if repaired.set_aside:
        write_result(
            f"{state}. Moved to {SET_ASIDE}, since they did not read: {', '.join(repaired.set_aside)}. Index the "
            "videos again to add what is missing now."
        )
    else:
        write_result(f"{state}, which reads; nothing was moved.")
    return ExitCode.OK
