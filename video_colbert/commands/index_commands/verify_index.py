"""`video-colbert verify-index`: reads all of an index and compares its files with their digests."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.index_arguments import add_index_argument
from video_colbert.console import ExitCode, write_result

NAME = "verify-index"
HELP = "read all of an index, and check that its files are what was written"
EXAMPLES = ("video-colbert verify-index --index my_index",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_index_argument(parser, text="folder or s3:// address of the index")


def run(arguments: argparse.Namespace) -> int:
    """Verifies the index.

    Raises:
        IndexStoreError: there is none, or it is damaged.
    """
    from video_colbert.index.lance.repair import counted_texts, verify_index

    found = verify_index(arguments.index)
    compared = "its files are what was written" if found.has_digests else "there are no digests to compare files with"
    held = f"{found.videos} videos{counted_texts(found)}"
    write_result(f"{arguments.index}: {held} in version {found.version}, all read; {compared}.")
    return ExitCode.OK
