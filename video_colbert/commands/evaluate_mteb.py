"""The part of `evaluate` that runs tasks of mteb."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from video_colbert.commands.arguments.model_arguments import load_encoder
from video_colbert.console import ExitCode, printable, write_notice, write_result
from video_colbert.errors import DatasetError
from video_colbert.evaluation.mteb_models.installed import check_mteb_installed
from video_colbert.evaluation.mteb_models.task_results import results_text
from video_colbert.whole_files import write_whole

_OWN_ARGUMENTS = ("mteb_results", "mteb_index")
# What only a data set has; mteb's tasks bring their own data, splits and metrics.
_OTHER_ARGUMENTS: Mapping[str, object] = {
    "data_dir": None,
    "video_dir": None,
    "protocol": None,
    "split": "test",
    "caption_column": None,
    "streaming": False,
    "mirror": False,
    "allow_missing": False,
    "report": None,
    "compare": None,
    "cache_dir": None,
    "ties": "expected",
    "level_weights": {},
    "dual_softmax": False,
}


def add_mteb_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --mteb-results and --mteb-index."""
    parser.add_argument(
        "--mteb-results",
        metavar="DIR",
        help="with --mteb: keep mteb's own files here, from which a second run takes what is there (default: mteb's "
        "folder, ~/.cache/mteb)",
    )
    parser.add_argument(
        "--mteb-index",
        metavar="DIR",
        help="with --mteb: keep an index of each task here, so that a second run encodes only what is new (default: "
        "in memory)",
    )


def refuse_mteb_arguments(arguments: argparse.Namespace) -> None:
    """Refuses what belongs to --mteb in an evaluation of a data set.

    Raises:
        DatasetError: there is such an argument; it is named.
    """
    for name in _OWN_ARGUMENTS:
        if getattr(arguments, name) is not None:
            raise DatasetError(f"--{name.replace('_', '-')} goes with --mteb; leave it out")


def run_mteb(arguments: argparse.Namespace) -> int:
    """Runs the tasks of --mteb; returns 3 if videos were bad.

    Raises:
        MissingExtraError: the `mteb` extra is not installed.
        DatasetError: there is no such task, its data cannot be had, or an argument belongs to a data set.
        VideoColBERTError: the model cannot be used.
    """
    for name, default in _OTHER_ARGUMENTS.items():
        if getattr(arguments, name) != default:
            raise DatasetError(
                f"--{name.replace('_', '-')} goes with --dataset, for a task of mteb has its own data and metrics; "
                "leave it out"
            )
    check_mteb_installed()
    encoder = load_encoder(arguments)

    from video_colbert.evaluation.mteb_models.run_tasks import run_tasks

    try:
        run = run_tasks(
            encoder,
            arguments.mteb,
            results_dir=arguments.mteb_results,
            index_dir=arguments.mteb_index,
            batch_size=arguments.batch_size,
            threads=arguments.threads,
            progress=sys.stderr.isatty(),
        )
    # Data that mteb cannot download are OSErrors and ValueErrors of `datasets`.
    except (ValueError, OSError) as error:
        raise DatasetError(
            f"the tasks of mteb cannot be run: {(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error
    write_result(results_text(run.results))
    write_result(f"mteb's own files: {run.folder}")
    if arguments.output is not None:
        content = json.dumps([result.as_dict() for result in run.results], indent=2)
        write_whole(Path(arguments.output), content + "\n")
    for task, bad in run.bad.items():
        listed = "; ".join(f"{printable(video.source)}: {printable(video.reason)}" for video in bad)
        write_notice(f"{len(bad)} videos of {task} cannot be decoded and count as not found: {listed}")
    return ExitCode.SOME_BAD if run.bad else ExitCode.OK
