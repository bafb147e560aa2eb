"""Evaluates a model on a split of a data set: recall of each level, in both directions, with what was left out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.dataset_arguments import (
    BENCHMARKS,
    add_allow_missing,
    add_data_arguments,
    dataset_errors,
)
from video_colbert.commands.arguments.level_weights import add_level_weights
from video_colbert.commands.arguments.mirror_argument import add_mirror, fetch_mirror
from video_colbert.commands.arguments.model_arguments import add_model_arguments, load_encoder
from video_colbert.commands.arguments.numbers import positive_int
from video_colbert.commands.evaluate_attack import add_attack_arguments, refuse_attack_arguments, run_attack
from video_colbert.commands.evaluate_mteb import add_mteb_arguments, refuse_mteb_arguments, run_mteb
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.data.opened.dataset_names import NAMES_IN_WORDS
from video_colbert.errors import DatasetError
from video_colbert.evaluation.dataset_rows import MOVING_SHAPES, VIDEO_FOLDER, load_rows
from video_colbert.evaluation.mteb_models.task_results import MTEB_RESULTS_FILE
from video_colbert.whole_files import write_whole

if TYPE_CHECKING:
    from video_colbert.evaluation.significance import PairedDifference

NAME = "evaluate"
HELP = "evaluate a model on a benchmark, or on any folder of videos with captions"
EXAMPLES = (
    "video-colbert evaluate --model CHECKPOINT --dataset msrvtt --data-dir MSRVTT --report report",
    "video-colbert evaluate --model CHECKPOINT --dataset msrvtt --data-dir MSRVTT --attack promote",
)

# `metrics.Ties`, which is not imported before it is needed.
TIES = ("expected", "optimistic", "pessimistic", "clip4clip", "clip4clip_multi_sentence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_model_arguments(parser, batch_size=32)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--dataset",
        metavar="NAME",
        help=f"{', '.join(BENCHMARKS)}; {VIDEO_FOLDER} for any folder of videos with a captions.jsonl or "
        f"captions.csv; {MOVING_SHAPES}, which is made on the spot; {NAMES_IN_WORDS}",
    )
    source.add_argument(
        "--mteb",
        nargs="+",
        metavar="TASK",
        help="tasks of mteb in place of a data set, such as MSRVTTT2V DiDeMoT2VRetrieval; mteb downloads their data "
        "(the extra [mteb])",
    )
    add_mteb_arguments(parser)
    add_data_arguments(parser, data_dir_required=False)
    add_mirror(parser)
    parser.add_argument("--split", default="test", help="split of the data set (default: test)")
    parser.add_argument(
        "--caption-column",
        metavar="COLUMN",
        help="column of a Hub data set's captions (default: captions, caption or text)",
    )
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="read a Hub data set as it is encoded, for one that is larger than the disk",
    )
    add_allow_missing(parser)
    parser.add_argument("--threads", type=positive_int, metavar="N", help="decoding threads (default: one a core)")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the results to this JSON file; as evaluation.json in a checkpoint's folder they are published "
        f"with it, as {MTEB_RESULTS_FILE} those of --mteb",
    )
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write report.json and report.html here: metrics with their intervals, the rank of every query, the "
        "worst failures with pictures, and plots; made if need be",
    )
    parser.add_argument(
        "--failures", type=positive_int, default=10, metavar="N", help="failures in the report (default: 10)"
    )
    parser.add_argument(
        "--compare",
        metavar="REPORT",
        help="report.json of another run on the same queries: say which metrics differ significantly",
    )
    parser.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="keep embeddings here, by content and model revision, so that a second run only scores; safe to delete",
    )
    parser.add_argument(
        "--ties",
        choices=TIES,
        default=TIES[0],
        help="how tied scores are ranked (default: expected, over random tie-breaking); clip4clip and "
        "clip4clip_multi_sentence count as the two paths of CLIP4Clip's evaluation do",
    )
    add_attack_arguments(parser)
    add_level_weights(parser)
    parser.add_argument(
        "--dual-softmax",
        action="store_true",
        help="re-weight the scores by dual softmax (arXiv 2109.04290), which sees all queries; results are labelled",
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluates the model; returns 3 if videos were missing or bad.

    Raises:
        MissingExtraError: the `train` extra is not installed.
        DatasetError: the data set cannot be read, none of its videos can be encoded, or arguments do not go together.
        VideoColBERTError: the model cannot be used, or the copy of --mirror cannot be fetched.
    """
    if arguments.output is not None and not Path(arguments.output).absolute().parent.is_dir():
        raise DatasetError(f"--output {arguments.output} cannot be written: there is no such folder")
    refuse_attack_arguments(arguments)
    if arguments.mteb is not None:
        return run_mteb(arguments)
    refuse_mteb_arguments(arguments)
    with dataset_errors():
        fetch_mirror(arguments)
        rows = load_rows(
            arguments.dataset,
            data_dir=arguments.data_dir,
            video_dir=arguments.video_dir,
            protocol=arguments.protocol,
            split=arguments.split,
            allow_missing=arguments.allow_missing,
            caption_column=arguments.caption_column,
            streaming=arguments.streaming,
        )
    if rows.differences:
        write_notice(
            f"This is not the {rows.split} split of {rows.dataset}, protocol {rows.protocol}, so its figures compare "
            f"with no others: {'; '.join(rows.differences)}."
        )
    if arguments.attack is not None:
        return run_attack(arguments, rows)
    encoder = load_encoder(arguments)

    from video_colbert.evaluation.evaluate import evaluate

    try:
        report = evaluate(
            encoder,
            rows,
            batch_size=arguments.batch_size,
            threads=arguments.threads,
            cache_dir=arguments.cache_dir,
            ties=arguments.ties,
            dual_softmax=arguments.dual_softmax,
            level_weights=arguments.level_weights,
            num_failures=None if arguments.report is None else arguments.failures,
        )
    except ValueError as error:
        raise DatasetError(str(error)) from error
    write_result(repr(report))
    if arguments.cache_dir is not None:
        write_notice(
            f"{report.num_cached} of {report.split.num_expected_videos} videos were read from the cache in "
            f"{arguments.cache_dir}."
        )
    if arguments.output is not None:
        content = json.dumps([result.as_dict() for result in report.results], indent=2)
        write_whole(Path(arguments.output), content + "\n")
    if arguments.compare is not None:
        from video_colbert.evaluation.reports.report import compare_with_report

        compared = compare_with_report(Path(arguments.compare), report.split, report.ranks)
        write_result(_comparison(compared, arguments.compare))
    if arguments.report is not None:
        from video_colbert.evaluation.reports.report_page import write_report

        write_report(Path(arguments.report), report)
        write_result(f"report: {Path(arguments.report) / 'report.html'}")
    return ExitCode.SOME_BAD if report.split.bad else ExitCode.OK


def _comparison(compared: Mapping[str, Mapping[str, PairedDifference]], other: str) -> str:
    lines = [
        f"text to video, against {other} (positive: higher than there; captions of a video are one piece of evidence)",
        f"{'level':<7}{'metric':<8}{'difference':>11}  {'95 % interval':<20}{'p':>8}",
    ]
    for level, differences in compared.items():
        for name, found in differences.items():
            interval = f"{found.interval[0]:+.3f} to {found.interval[1]:+.3f}"
            lines.append(f"{level:<7}{name:<8}{found.difference:>+11.3f}  {interval:<20}{found.p_value:>8.4f}")
    return "\n".join(lines)
