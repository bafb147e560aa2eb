"""Decodes every video of a data set from end to end and writes a manifest; bad files are listed (exit code 3).

What is found out is kept at once, so that running it again looks only at videos that are new or changed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.dataset_arguments import BENCHMARKS, add_data_arguments, dataset_errors
from video_colbert.commands.arguments.decoding_arguments import add_decoding_arguments
from video_colbert.commands.arguments.mirror_argument import add_mirror, fetch_mirror
from video_colbert.commands.arguments.numbers import positive_int
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.errors import DatasetError
from video_colbert.evaluation.dataset_rows import VIDEO_FOLDER

if TYPE_CHECKING:
    from video_colbert.dataset_builders import ProtocolCheck

NAME = "prepare"
HELP = "check that every video of a data set decodes, and re-encode them if asked"
EXAMPLES = ("video-colbert prepare msrvtt --data-dir MSRVTT",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "dataset",
        choices=[*BENCHMARKS, VIDEO_FOLDER],
        metavar="DATASET",
        help=f"{', '.join(BENCHMARKS)}, or {VIDEO_FOLDER} for any folder of videos",
    )
    add_data_arguments(parser)
    add_mirror(parser)
    parser.add_argument(
        "--output-dir",
        metavar="DIR",
        help="write re-encoded copies there: H.264 without sound, with a keyframe every second for fast seeking",
    )
    parser.add_argument(
        "--short-side", type=positive_int, metavar="PIXELS", help="shorter side of the copies; none is enlarged"
    )
    parser.add_argument("--fps", type=float, help="frames a second of the copies; none is given more than it has")
    add_decoding_arguments(parser, timeout=3600)


def run(arguments: argparse.Namespace) -> int:
    """Prepares the videos; returns 3 if some of them are bad.

    Raises:
        MissingExtraError: the `train` extra is not installed.
        DatasetError: there is no such folder, no video in it, or arguments do not go together.
        HubError: the copy of --mirror cannot be fetched.
    """
    if arguments.output_dir is None and (arguments.short_side is not None or arguments.fps is not None):
        raise DatasetError("--short-side and --fps are for re-encoded copies: say with --output-dir where they go")
    if arguments.dataset == VIDEO_FOLDER and arguments.protocol is not None:
        raise DatasetError(f"{VIDEO_FOLDER} has no protocols: leave out --protocol")
    with dataset_errors():
        fetch_mirror(arguments)
        from video_colbert.data import Reencoding, prepare_videos

        reports = [] if arguments.dataset == VIDEO_FOLDER else _compare_with_protocol(arguments)
        reencoding = None
        if arguments.output_dir is not None:
            reencoding = Reencoding(short_side=arguments.short_side, fps=arguments.fps)
        result = prepare_videos(
            arguments.video_dir or arguments.data_dir,
            output_dir=arguments.output_dir,
            reencoding=reencoding,
            workers=arguments.workers,
            timeout=arguments.timeout,
        )
    write_result(result.table())
    write_result(f"manifest: {result.manifest}")
    for report in reports:
        write_result(str(report))
    return ExitCode.SOME_BAD if result.bad else ExitCode.OK


def _compare_with_protocol(arguments: argparse.Namespace) -> list[ProtocolCheck]:
    """Says of each split whose annotations are there which of its videos are missing."""
    from video_colbert.dataset_builders import MissingAnnotationsError, check_protocol, load_benchmark
    from video_colbert.dataset_builders.protocols import default_protocol

    protocol = arguments.protocol or default_protocol(arguments.dataset)
    try:
        splits = load_benchmark(
            arguments.dataset,
            protocol=protocol,
            data_dir=arguments.data_dir,
            video_dir=arguments.video_dir,
            allow_missing=True,
            streaming=True,
        )
    except MissingAnnotationsError as error:
        write_notice(f"The videos are not compared with a list of them: {error}.")
        return []
    return [check_protocol(rows, arguments.dataset, protocol, split) for split, rows in splits.items()]
