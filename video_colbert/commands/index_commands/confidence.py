"""`video-colbert confidence`: learns how likely hits of an index are right, and keeps that in the index."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.index_arguments import add_index_argument, open_existing
from video_colbert.commands.arguments.model_arguments import add_model_arguments, load_encoder, with_model_of
from video_colbert.commands.judged_queries import read_judged_queries
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.errors import DatasetError

if TYPE_CHECKING:
    from video_colbert.evaluation.reports.reliability import Reliability

NAME = "confidence"
HELP = "learn how likely hits of an index are right, and when there is no such video"
EXAMPLES = (
    "video-colbert confidence --index my_notes --judged judged.jsonl",
    "video-colbert confidence --index my_notes --judged judged.jsonl --plot reliability.svg",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_index_argument(parser)
    parser.add_argument(
        "--judged",
        metavar="FILE",
        required=True,
        help='queries whose answers are known, a line {"query": "...", "videos": ["a.mp4"]} each; some hundreds',
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also write the reliability diagram, an SVG file")
    parser.add_argument("--json", action="store_true", help="write one JSON object in place of text")
    add_model_arguments(parser, batch_size=8, model_required=False)


def run(arguments: argparse.Namespace) -> int:
    """Learns the confidence and writes how well it holds.

    Raises:
        VideoColBERTError: the index, a model or the file of queries cannot be used.
        OSError: the diagram cannot be written.
    """
    from video_colbert.evaluation.reports.reliability import held_out_reliability
    from video_colbert.evaluation.reports.reliability_plot import reliability_plot
    from video_colbert.index.confidence.learning import judge_searches, learn_confidence
    from video_colbert.index.passages.asked_sources import choose_sources
    from video_colbert.whole_files import write_whole

    index = open_existing(arguments.index)
    texts = [name for name, source in index.stored.readings.known() if source == "document"]
    judged = read_judged_queries(arguments.judged, [*(video.path for video in index.videos), *texts])
    if "video" in choose_sources(index.stored, None):
        index.encoder = load_encoder(with_model_of(arguments, index.stored), for_videos=False)
    found = judge_searches(index, judged)
    try:
        reliability = held_out_reliability(found)
        learn_confidence(index, found)
    except ValueError as error:
        raise DatasetError(f"{arguments.judged}: {error}") from error
    if arguments.plot is not None:
        write_whole(arguments.plot, reliability_plot(reliability))
        write_notice(f"Wrote {arguments.plot}.")
    write_result(json.dumps(reliability.as_dict(), indent=2) if arguments.json else "\n".join(_lines(reliability)))
    write_notice(f"{index.location} knows how likely its hits are right; search with --min-probability.")
    return ExitCode.OK


def _lines(reliability: Reliability) -> Iterator[str]:
    yield f"{reliability.num_queries} judged queries, each judged by what was fitted without it"
    yield f"expected calibration error of first hits: {reliability.error:.3f}"
    yield f"{'probability':>12}{'right':>8}{'queries':>9}"
    for each in reliability.bins:
        yield f"{each.probability:12.2f}{each.share_right:8.2f}{each.count:9d}"
    yield "taken for found at a false-positive rate of:"
    for rate, share in reliability.found.items():
        yield f"{rate:6.0%}: {share:.1%} of queries, {reliability.false_positives[rate]:.1%} with their video removed"
