"""The command line `video-colbert`: builds the parser and hands over to the subcommand.

Exit codes: 0 all good, 1 failed, 3 done but some files were bad; 2 is a command line that is not understood.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from video_colbert import __version__
from video_colbert.commands import (
    evaluate,
    index,
    prepare,
    publish,
    publish_dataset,
    repair,
    search,
    verify,
    verify_index,
)
from video_colbert.console import (
    ExitCode,
    NoticeHandler,
    flush_results,
    open_standard_streams,
    printable,
    write_notice,
)
from video_colbert.errors import VideoColBERTError

_COMMANDS = (index, search, evaluate, prepare, publish, publish_dataset, verify, verify_index, repair)


class _Parser(argparse.ArgumentParser):
    """A parser whose messages repeat arguments as a terminal can show them."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; a parsed command has its module's `run` as `run`."""
    parser = _Parser(prog="video-colbert", description="Finds videos by text with late interaction (Video-ColBERT).")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        subparser = subparsers.add_parser(command.NAME, help=command.HELP, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; mistakes of the user give one sentence, not a traceback.

    Args:
        argv: arguments, by default those of the process.
    """
    open_standard_streams()
    log = logging.getLogger(__package__)
    if not any(isinstance(handler, NoticeHandler) for handler in log.handlers):
        log.addHandler(NoticeHandler())
    try:
        arguments = build_parser().parse_args(argv)
    finally:
        flush_results()
    try:
        _use_folder_for_temporary_files()
        return int(arguments.run(arguments))
    except (VideoColBERTError, OSError) as error:
        write_notice(f"video-colbert: {error}")
        return ExitCode.FAILED
    except KeyboardInterrupt:
        write_notice("video-colbert: interrupted; what was done is kept")
        return ExitCode.INTERRUPTED


def _use_folder_for_temporary_files() -> None:
    """Has everything use the folder that Python finds where `TMPDIR` names none, as Lance would not."""
    named = os.environ.get("TMPDIR")
    if named and not Path(named).is_dir():
        os.environ["TMPDIR"] = found = tempfile.gettempdir()
        write_notice(f"TMPDIR names {named}, which is no folder; {found} is used instead.")
