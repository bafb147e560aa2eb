"""The arguments of every command that decodes in processes."""

from __future__ import annotations

import argparse

from video_colbert.commands.arguments.numbers import positive_int, positive_seconds


def add_decoding_arguments(parser: argparse._ActionsContainer, *, timeout: float) -> None:
    """Adds --workers and --timeout.

    Args:
        parser: the command's parser, or a group of it.
        timeout: the default of --timeout.
    """
    parser.add_argument("--workers", type=positive_int, metavar="N", help="decoding processes (default: one a core)")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=timeout,
        metavar="SECONDS",
        help=f"give up a file that takes longer to read or decode, until the next run (default: {timeout:g})",
    )
