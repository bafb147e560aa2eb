"""`video-colbert verify`: computes the self-test of a checkpoint again and says what differs."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.hub_arguments import add_token
from video_colbert.console import ExitCode, write_result

NAME = "verify"
HELP = "check that a checkpoint gives the scores it was published with"
EXAMPLES = ("video-colbert verify me/my-model",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("checkpoint", metavar="REPO_ID", help="Hub id or local folder of a Video-ColBERT checkpoint")
    parser.add_argument("--revision", help="branch, tag or commit on the Hub (default: main)")
    add_token(parser)
    # No --dtype: the expected scores are those of float32.
    parser.add_argument(
        "--device", default="cpu", help="torch device (default: cpu, which the tolerances are made for)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Verifies the checkpoint; returns 1 if anything differs.

    Raises:
        VideoColBERTError: the checkpoint is not found or cannot be loaded.
    """
    from video_colbert.hub import verify_checkpoint

    report = verify_checkpoint(
        arguments.checkpoint, revision=arguments.revision, token=arguments.token, device=arguments.device
    )
    subject = report.name if report.revision is None else f"{report.name} at revision {report.revision[:12]}"
    if not report.passed:
        write_result("\n".join([f"{subject} is not what was published:", *(f"  {it}" for it in report.differences)]))
        return ExitCode.FAILED
    write_result(f"{subject} is as published: scores differ by at most {report.largest_score_difference:.1g}.")
    return ExitCode.OK
