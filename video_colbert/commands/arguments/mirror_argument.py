"""`--mirror`: a benchmark's files from the copy that others keep on the Hub."""

from __future__ import annotations

import argparse

from video_colbert.console import write_notice


def add_mirror(parser: argparse.ArgumentParser) -> None:
    """Adds --mirror.

    Args:
        parser: the command's parser.
    """
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="first fetch annotations and videos (2 to 42 GB) into --data-dir from a copy on the Hub that is kept by "
        "others than the authors; copies of msrvtt, msvd, didemo and activitynet are known",
    )


def fetch_mirror(arguments: argparse.Namespace) -> None:
    """Fetches what is not there yet, if it was asked for, and says whose copy it is.

    Args:
        arguments: with `mirror`, `dataset` and `data_dir`.

    Raises:
        DatasetError: no copy of the data set is known, there is no --data-dir, or the copy is not what is expected.
        HubError: the Hub refuses it or cannot be reached.
    """
    if not arguments.mirror:
        return
    from video_colbert.data.fetched_copies import fetch_copy

    write_notice(fetch_copy(arguments.dataset, arguments.data_dir))
