"""Says what an index is: its model, what it was made with, how much it holds, and what searches can filter by."""

from __future__ import annotations

import argparse
import json

from video_colbert.commands.arguments.index_arguments import add_index_argument, open_existing
from video_colbert.console import ExitCode, write_result

NAME = "info"
HELP = "say what an index is and what it holds"
EXAMPLES = ("video-colbert info --index my_index",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_index_argument(parser)
    parser.add_argument("--json", action="store_true", help="write one JSON object in place of a table")


def run(arguments: argparse.Namespace) -> int:
    """Describes the index.

    Raises:
        IndexStoreError: there is no such index, or it cannot be read.
    """
    with open_existing(arguments.index) as index:
        info = index.info()
    write_result(json.dumps(info.as_dict(), indent=2) if arguments.json else repr(info))
    return ExitCode.OK
