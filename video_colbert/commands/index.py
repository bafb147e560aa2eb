"""Encodes videos into an index. Running it again adds what is new; bad files are listed at the end (exit code 3)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from video_colbert.commands.model_arguments import add_model_arguments, load_encoder, positive_int
from video_colbert.console import write_notice, write_result
from video_colbert.exit_codes import ExitCode

if TYPE_CHECKING:
    from video_colbert.encoded import BadVideo
    from video_colbert.index import IndexingReport

NAME = "index"
HELP = "make an index of videos, or add to one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files, and folders of them at any depth")
    parser.add_argument("--index", required=True, metavar="DIR", help="folder of the index; made if need be")
    add_model_arguments(parser, batch_size=8)
    parser.add_argument(
        "--num-frames",
        type=positive_int,
        metavar="N",
        help="frames sampled from each video; by default the number that the index has, or the model was made for",
    )
    parser.add_argument(
        "--workers", type=positive_int, metavar="N", help="decoding threads (default: one a core, at most 8)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Indexes the videos; returns 3 if some of them were bad.

    Raises:
        VideoColBERTError: the model or the index cannot be used.
        FileNotFoundError: a file or folder is missing, or no video is among them.
    """
    from video_colbert.index import Index, find_video_files, index_videos

    found = find_video_files(arguments.videos)
    if found.left_out:
        kinds = ", ".join(f"{number} {suffix}" for suffix, number in sorted(found.left_out.items()))
        write_notice(f"Left out, no media files: {kinds}.")
    encoder = load_encoder(arguments)
    encoder.check_num_frames(arguments.num_frames)
    if Index.exists(arguments.index):
        index = Index.open(arguments.index, model=encoder.reference)
    else:
        index = Index.create(
            arguments.index, model=encoder.reference, num_frames=arguments.num_frames or encoder.num_frames
        )
    report = index_videos(
        index,
        encoder,
        found.files,
        batch_size=arguments.batch_size,
        num_frames=arguments.num_frames,
        workers=arguments.workers,
    )
    write_result(_summary(report, len(index), arguments.index))
    if report.bad:
        write_result(_bad_list(report.bad))
        return ExitCode.SOME_BAD
    return ExitCode.OK


def _summary(report: IndexingReport, total: int, directory: str) -> str:
    kinds = {
        "added": len(report.added),
        "already there": len(report.present),
        "moved": len(report.moved),
        "of the same content as another": len(report.duplicates),
        "bad": len(report.bad),
    }
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.items() if number or kind == "added")
    return f"{counts}; the index in {directory} holds {total} {'video' if total == 1 else 'videos'}."


def _bad_list(bad: list[BadVideo]) -> str:
    return "\n".join([f"Bad files ({len(bad)}):", *(f"  {video.source}: {video.reason}" for video in bad)])
