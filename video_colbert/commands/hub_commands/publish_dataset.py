"""`video-colbert publish-dataset`: puts a benchmark's annotations on the Hub as a repository without code.

`datasets.load_dataset` opens it by name. Video files stay here unless they are asked for.
"""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.dataset_arguments import (
    BENCHMARKS,
    add_allow_missing,
    add_data_arguments,
    dataset_errors,
)
from video_colbert.commands.arguments.hub_arguments import add_private, add_repository, add_token
from video_colbert.console import ExitCode, write_result

NAME = "publish-dataset"
HELP = "publish a benchmark's annotations as a data set on the Hugging Face Hub"
EXAMPLES = ("video-colbert publish-dataset msrvtt me/msrvtt-1k-A --data-dir MSRVTT --split test",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("dataset", choices=BENCHMARKS, metavar="DATASET", help=", ".join(BENCHMARKS))
    add_repository(parser)
    add_data_arguments(parser)
    parser.add_argument(
        "--split",
        action="append",
        dest="splits",
        metavar="SPLIT",
        help="split to publish, may be given several times; by default all whose annotations are there",
    )
    add_allow_missing(parser)
    parser.add_argument(
        "--include-videos",
        action="store_true",
        help="upload the video files too. They belong to the people who made them, and a public repository passes "
        "them on to everyone: do this only with videos whose licence allows it, or with --private for yourself",
    )
    add_private(parser)
    add_token(parser)


def run(arguments: argparse.Namespace) -> int:
    """Publishes the data set; returns 3 if the files of some of its videos were missing.

    Raises:
        MissingExtraError: the `train` extra is not installed.
        DatasetError: files are missing or malformed, or there is no such protocol or split.
        HubError: the Hub refuses it or cannot be reached.
    """
    from video_colbert.hub_errors import hub_errors

    with dataset_errors(), hub_errors(f"{arguments.repo_id} cannot be published"):
        from video_colbert.data import publish_dataset

        address, reports = publish_dataset(
            arguments.repo_id,
            arguments.dataset,
            arguments.data_dir,
            protocol=arguments.protocol,
            splits=arguments.splits,
            video_dir=arguments.video_dir,
            include_videos=arguments.include_videos,
            allow_missing=arguments.allow_missing,
            # What a repository is that is there already stays as it is.
            private=arguments.private or None,
            token=arguments.token,
        )
    write_result("\n".join([*map(str, reports), f"published: {address}"]))
    return ExitCode.SOME_BAD if any(report.missing for report in reports) else ExitCode.OK
