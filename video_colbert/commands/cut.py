"""Finds videos by text, picture or clip, and writes the stretch that matches of each to a file of its own.

Packets are copied from the keyframe before the stretch where the container allows, so that a file may begin earlier
than what matches; with --exact it is encoded again. What was written is said with its real start and end. A file that
is gone or cannot be read is told, and does not stop the others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_colbert.commands.arguments.index_arguments import add_index_argument, add_where, open_existing
from video_colbert.commands.arguments.model_arguments import add_model_arguments, load_encoder, with_model_of
from video_colbert.commands.arguments.numbers import positive_int, seconds
from video_colbert.commands.arguments.typed_text import typed_text
from video_colbert.commands.arguments.visual_arguments import (
    add_visual_arguments,
    asks_by_picture,
    read_visual_query,
)
from video_colbert.commands.cut_files import free_file
from video_colbert.console import ExitCode, printable, write_notice, write_result
from video_colbert.errors import EncodingError, ExcerptError

if TYPE_CHECKING:
    from video_colbert.encoding.search_hits import SearchHits
    from video_colbert.excerpts import CutReport, Stretch

NAME = "cut"
HELP = "write the stretches of videos that match a query to files"
EXAMPLES = (
    "video-colbert cut a dog catches a ball --index my_index --out cuts --top-k 2",
    "video-colbert cut a dog catches a ball --index my_index --out cuts --exact --pad 0.5 --join",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "words", nargs="*", type=typed_text, metavar="TEXT", help="what to look for, in as many words as it takes"
    )
    add_visual_arguments(parser)
    add_index_argument(parser)
    add_where(parser)
    parser.add_argument("--top-k", type=positive_int, default=3, metavar="K", help="hits, at most (default: 3)")
    cutting = parser.add_argument_group("cutting")
    cutting.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder of the files; nothing in it is written over"
    )
    cutting.add_argument("--exact", action="store_true", help="exactly what matches, encoded again (H.264)")
    cutting.add_argument(
        "--pad", type=seconds, default=0.0, metavar="SECONDS", help="so much more before and after (default: 0)"
    )
    cutting.add_argument("--join", action="store_true", help="one file of all, one after another, encoded again")
    cutting.add_argument("--json", action="store_true", help="write one JSON object in place of text")
    add_model_arguments(parser, batch_size=8, model_required=False)


def run(arguments: argparse.Namespace) -> int:
    """Searches and cuts; returns 3 if a video could not be cut.

    Raises:
        VideoColBERTError: the model, the index, the query or the condition cannot be used.
    """
    from video_colbert.excerpts import Stretch

    hits = _find(arguments)
    stretches = []
    for hit in hits:
        start, end = hit.matched_range
        stretches.append(Stretch(hit.video, max(0.0, start - arguments.pad), end + arguments.pad))
    written, failed = (_joined if arguments.join else _cut)(stretches, arguments)
    if arguments.json:
        write_result(json.dumps({"query": hits.query, "files": [*map(_as_dict, written)], "failed": failed}, indent=2))
    else:
        for report in written:
            write_result(_line(report))
        if not hits:
            write_result("No hits.")
    return ExitCode.SOME_BAD if failed else ExitCode.OK


def _find(arguments: argparse.Namespace) -> SearchHits:
    from video_colbert.index.video_index import check_model
    from video_colbert.processing import VideoDecodingError

    text = " ".join(arguments.words).strip()
    visual = read_visual_query(arguments, text)
    if not text and visual is None:
        raise EncodingError("say what to look for: TEXT, --image FILE or --clip FILE")
    index = open_existing(arguments.index)
    index.encoder = load_encoder(with_model_of(arguments, index.stored), for_videos=asks_by_picture(arguments))
    check_model(index.stored, index.encoder.reference)
    try:
        return index.search(visual or text, top_k=arguments.top_k, where=arguments.where)
    except VideoDecodingError as error:
        raise EncodingError(str(error)) from error


def _cut(stretches: list[Stretch], arguments: argparse.Namespace) -> tuple[list[CutReport], list[dict[str, str]]]:
    """A file for each stretch, and what could not be cut."""
    from video_colbert.excerpts import cut_video
    from video_colbert.excerpts.excerpt_cache import cut_suffix

    written, failed = [], []
    for rank, each in enumerate(stretches, start=1):
        name = f"{rank:02}_{Path(each.source).stem}_{each.start:.1f}-{each.end:.1f}"
        try:
            with free_file(arguments.out, name, cut_suffix(each.source, exact=arguments.exact)) as file:
                report = cut_video(each.source, each.start, each.end, file, exact=arguments.exact)
        except ExcerptError as error:
            failed.append({"video": each.source, "reason": str(error)})
            write_notice(str(error))
            continue
        _tell(report)
        written.append(report)
    return written, failed


def _joined(stretches: list[Stretch], arguments: argparse.Namespace) -> tuple[list[CutReport], list[dict[str, str]]]:
    """One file of all stretches that can be read, and what could not be."""
    from video_colbert.excerpts import frame_picture, join_ranges

    good, failed = [], []
    for each in stretches:
        try:
            # One that cannot be read would spoil the file of all.
            frame_picture(each.source, each.start, 16)
        except ExcerptError as error:
            failed.append({"video": each.source, "reason": str(error)})
            write_notice(str(error))
        else:
            good.append(each)
    if not good:
        return [], failed
    with free_file(arguments.out, "joined", ".mp4") as file:
        report = join_ranges(good, file)
    _tell(report)
    return [report], failed


def _tell(report: CutReport) -> None:
    if report.reason is not None:
        write_notice(f"{report.path} is encoded again: {report.reason}.")
    if report.problem is not None:
        write_notice(f"{report.problem}; it is silent there.")


def _line(report: CutReport) -> str:
    from video_colbert.encoding.display import format_seconds, short_name

    parts = ", ".join(
        f"{short_name(each.source)} {format_seconds(each.start)}-{format_seconds(each.end)}"
        for each in report.stretches
    )
    return f"{printable(report.path)}  {parts}  {'copied' if report.is_copy else 'encoded again'}"


def _as_dict(report: CutReport) -> dict[str, Any]:
    return {
        "file": report.path,
        "stretches": [
            {"video": each.source, "start": round(each.start, 3), "end": round(each.end, 3)}
            for each in report.stretches
        ],
        "copied": report.is_copy,
        "reason": report.reason,
        "problem": report.problem,
    }
