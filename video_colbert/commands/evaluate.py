"""Evaluates a model on a split of a data set: recall of each level, in both directions, with what was left out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_colbert.commands.dataset_arguments import (
    BENCHMARKS,
    VIDEO_FOLDER,
    add_allow_missing,
    add_data_arguments,
    dataset_errors,
)
from video_colbert.commands.model_arguments import add_model_arguments, load_encoder, positive_int
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.errors import DatasetError

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import BadVideo
    from video_colbert.evaluation.retrieval import EvaluationResult
    from video_colbert.evaluation.significance import PairedDifference

NAME = "evaluate"
HELP = "evaluate a model on a benchmark, or on any folder of videos with captions"

MOVING_SHAPES = "moving_shapes"
# `metrics.Ties`, which is not imported before it is needed.
TIES = ("expected", "optimistic", "pessimistic", "clip4clip", "clip4clip_multi_sentence")
_COLUMNS = ("R@1", "R@5", "R@10", "MdR", "MnR")
_INTERVAL = "R@1 95 %"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_model_arguments(parser, batch_size=32)
    names = [*BENCHMARKS, VIDEO_FOLDER, MOVING_SHAPES]
    parser.add_argument(
        "--dataset",
        choices=names,
        required=True,
        metavar="NAME",
        help=f"{', '.join(BENCHMARKS)}; {VIDEO_FOLDER} for any folder of videos with a captions.jsonl or "
        f"captions.csv; {MOVING_SHAPES}, which is made on the spot",
    )
    add_data_arguments(parser, data_dir_required=False)
    parser.add_argument("--split", default="test", help="split of the data set (default: test)")
    add_allow_missing(parser)
    parser.add_argument("--workers", type=positive_int, metavar="N", help="decoding threads (default: one a core)")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the results to this JSON file; as evaluation.json in a checkpoint's folder they are published "
        "with it",
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
        VideoColBERTError: the model cannot be used.
    """
    if arguments.output is not None and not Path(arguments.output).absolute().parent.is_dir():
        raise DatasetError(f"--output {arguments.output} cannot be written: there is no such folder")
    with dataset_errors():
        rows, protocol = _load_rows(arguments)
    encoder = load_encoder(arguments)

    from video_colbert.encoding.encoded import EncodedVideo
    from video_colbert.evaluation.embedding_cache import EmbeddingCache
    from video_colbert.evaluation.retrieval import encode_rows, encode_split, evaluate_split, rank_split

    cache = None if arguments.cache_dir is None else EmbeddingCache(arguments.cache_dir, encoder)
    videos = encode_rows(
        encoder, rows, batch_size=arguments.batch_size, workers=arguments.workers, progress=True, cache=cache
    )
    try:
        split = encode_split(encoder, rows, videos=videos, batch_size=arguments.batch_size, cache=cache)
        ranks = rank_split(
            split,
            dual_softmax=arguments.dual_softmax,
            with_distribution=arguments.report is not None,
            progress=True,
        )
        results = evaluate_split(
            split,
            dataset=arguments.dataset,
            protocol=protocol,
            split_name=arguments.split,
            ties=arguments.ties,
            dual_softmax=arguments.dual_softmax,
            ranks=ranks,
            confidence_intervals=arguments.ties == "expected",
        )
    except ValueError as error:
        raise DatasetError(str(error)) from error
    write_result(f"model: {encoder.reference}{', zero-shot' if encoder.is_zero_shot else ''}")
    write_result(_report(results, split.bad))
    if cache is not None:
        write_notice(f"{cache.hits} of {len(rows)} videos were read from the cache in {arguments.cache_dir}.")
    if arguments.output is not None:
        content = json.dumps([result.as_dict() for result in results], indent=2)
        Path(arguments.output).write_text(content + "\n", encoding="utf-8")
    if arguments.compare is not None:
        from video_colbert.evaluation.report import compare_with_report

        write_result(_comparison(compare_with_report(Path(arguments.compare), split, ranks), arguments.compare))
    if arguments.report is not None:
        from video_colbert.evaluation.failures import worst_failures
        from video_colbert.evaluation.report import EvaluationReport
        from video_colbert.evaluation.report_page import write_report

        gallery = [video for video in videos if isinstance(video, EncodedVideo)]
        failures = worst_failures(encoder, split, gallery, ranks["sum"].text_to_video, number=arguments.failures)
        report = EvaluationReport(str(encoder.reference), encoder.is_zero_shot, results, split, ranks, failures)
        write_report(Path(arguments.report), report)
        write_result(f"report: {Path(arguments.report) / 'report.html'}")
    return ExitCode.SOME_BAD if split.bad else ExitCode.OK


def _load_rows(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of the split and the name of its protocol, None for a data set without protocols."""
    from video_colbert.dataset_builders import MovingShapes, VideoFolder, load_benchmark, verify
    from video_colbert.dataset_builders.protocols import default_protocol

    if arguments.dataset in BENCHMARKS:
        if arguments.data_dir is None:
            raise ValueError(f"{arguments.dataset} needs --data-dir, the folder with its annotation files and videos")
        protocol = arguments.protocol or default_protocol(arguments.dataset)
        rows = load_benchmark(
            arguments.dataset,
            protocol=protocol,
            split=arguments.split,
            data_dir=arguments.data_dir,
            video_dir=arguments.video_dir,
            allow_missing=arguments.allow_missing,
            streaming=True,
        )
        found = list(rows)
        differences = verify(found, arguments.dataset, protocol, arguments.split).differences
        if differences:
            write_notice(
                f"This is not the {arguments.split} split of {arguments.dataset}, protocol {protocol}, so its figures "
                f"compare with no others: {'; '.join(differences)}."
            )
        return found, protocol
    for option in ("protocol", "video_dir"):
        if getattr(arguments, option) is not None:
            raise ValueError(f"{arguments.dataset} takes no --{option.replace('_', '-')}; leave it out")
    if arguments.dataset == MOVING_SHAPES:
        if arguments.data_dir is not None:
            raise ValueError(
                f"{MOVING_SHAPES} takes no --data-dir, for it is made on the spot; clips that are written already are "
                f"a {VIDEO_FOLDER}"
            )
        return list(MovingShapes().as_streaming_dataset(split=arguments.split)), None
    if arguments.data_dir is None:
        raise ValueError(f"{VIDEO_FOLDER} needs --data-dir, the folder with the videos and their captions")
    builder = VideoFolder(data_dir=arguments.data_dir, split=arguments.split, allow_missing=arguments.allow_missing)
    return list(builder.as_streaming_dataset(split=arguments.split)), None


def _report(results: Sequence[EvaluationResult], bad: Sequence[BadVideo]) -> str:
    from video_colbert.evaluation.result_text import DIRECTIONS, conditions_text, gallery_text

    first = results[0]
    protocol = f", protocol {first.protocol}" if first.protocol is not None else ""
    facts = [f"{gallery_text(first)}, {first.num_queries} captions", *conditions_text(first)]
    lines = [
        f"{first.dataset}{protocol}, split {first.split}: {'; '.join(facts)}",
        f"{'level':<7}{'direction':<15}" + "".join(f"{name:>8}" for name in _COLUMNS) + f"  {_INTERVAL}",
    ]
    for result in results:
        figures = "".join(f"{result.metrics[name]:>8.1f}" for name in _COLUMNS)
        low, high = (result.confidence_intervals or {}).get("R@1", (None, None))
        interval = "" if low is None or high is None else f"  {low:.1f} to {high:.1f}"
        lines.append(f"{result.level:<7}{DIRECTIONS[result.direction]:<15}{figures}{interval}")
    if first.truncated_queries:
        lines.append(
            f"{first.truncated_queries} of {first.num_queries} captions are longer than the text tower holds; their "
            "ends were cut off."
        )
    if bad:
        lines += [f"Left out, with their captions ({len(bad)}):", *(f"  {it.source}: {it.reason}" for it in bad)]
    return "\n".join(lines)


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
