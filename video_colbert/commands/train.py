"""Trains a model, with the arguments of `train.py`: `video-colbert train --help` lists them.

On several processes, `accelerate launch --quiet train.py` takes the same arguments.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

from video_colbert.console import NoticeHandler
from video_colbert.errors import MissingExtraError

NAME = "train"
HELP = "train a model"
EXAMPLES = (
    "video-colbert train --backbone openai/clip-vit-base-patch32 --dataset msrvtt --data-dir MSRVTT --output-dir run",
)

PARSER_OPTIONS: dict[str, Any] = {"prefix_chars": "\0", "add_help": False}
"""Nothing begins with this character, so that options and --help reach the parser of the training arguments."""

# What the `train` extra brings.
_PACKAGES_OF_EXTRA = ("accelerate", "datasets", "evaluate", "yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes whatever follows; what it means is known to `video_colbert.training`, which takes seconds to import."""
    parser.add_argument("rest", nargs=argparse.REMAINDER)


def run(arguments: argparse.Namespace) -> int:
    """Trains; returns as `train.py` does.

    Raises:
        MissingExtraError: the `train` extra is not installed.
    """
    try:
        from video_colbert.training.training_run import run_command_line
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _PACKAGES_OF_EXTRA:
            raise
        raise MissingExtraError(
            f"this command needs the package {error.name}, which is not installed: pip install 'video-colbert[train]'"
        ) from error
    # A run has a log of its own, with times, which these records reach too.
    log = logging.getLogger("video_colbert")
    for handler in [handler for handler in log.handlers if isinstance(handler, NoticeHandler)]:
        log.removeHandler(handler)
    return run_command_line(arguments.rest, program="video-colbert train")
