"""The command line `video-colbert`: builds the parser and hands over to the subcommand.

Exit codes: 0 all good, 1 failed, 3 done but some files were bad; 2 is a command line that is not understood.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from typing_extensions import override

from video_colbert import __version__
from video_colbert.commands import (
    compare_models,
    completion,
    cut,
    evaluate,
    index,
    passages,
    prepare,
    search,
    serve,
    train,
)
from video_colbert.commands.arguments.flag_names import name_flags, with_dashes
from video_colbert.commands.hub_commands import publish, publish_dataset, publish_metric, publish_space, verify
from video_colbert.commands.index_commands import (
    confidence,
    forget,
    info,
    list_videos,
    remove,
    repair,
    tune,
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

COMMANDS = (
    index,
    search,
    cut,
    serve,
    info,
    list_videos,
    remove,
    forget,
    verify_index,
    repair,
    tune,
    confidence,
    passages,
    train,
    evaluate,
    compare_models,
    prepare,
    publish,
    publish_dataset,
    publish_space,
    publish_metric,
    verify,
    completion,
)
"""The modules of the subcommands, in the order of `--help`."""

# What a shell sets when it asks how a command line may go on.
_ASKED_BY_A_SHELL = "_ARGCOMPLETE"


class _Parser(argparse.ArgumentParser):
    """A parser whose messages repeat arguments as a terminal can show them."""

    @override
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; a parsed command has its module's `run` as `run`."""
    parser = _Parser(prog="video-colbert", description="Finds videos by text with late interaction (Video-ColBERT).")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.NAME,
            help=command.HELP,
            description=_wrapped(command.__doc__ or ""),
            epilog=_epilog(command.EXAMPLES, getattr(command, "NOTES", "")),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **getattr(command, "PARSER_OPTIONS", {}),
        )
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
        parser = build_parser()
        if _ASKED_BY_A_SHELL in os.environ:
            completion.answer_shell(parser)
        arguments = parser.parse_args(with_dashes(sys.argv[1:] if argv is None else argv))
    finally:
        flush_results()
    try:
        _use_folder_for_temporary_files()
        return int(arguments.run(arguments))
    except (VideoColBERTError, OSError) as error:
        write_notice(f"video-colbert: {name_flags(str(error), vars(arguments))}")
        return ExitCode.FAILED
    except KeyboardInterrupt:
        write_notice("video-colbert: interrupted; what was done is kept")
        return ExitCode.INTERRUPTED


def _wrapped(text: str) -> str:
    """A text's paragraphs at the width of the terminal; what has indented lines stays as it is."""
    width = max(shutil.get_terminal_size().columns - 2, 40)
    parts = text.strip().split("\n\n")
    return "\n\n".join(
        part if "\n " in part else textwrap.fill(" ".join(part.split()), width, break_on_hyphens=False)
        for part in parts
    )


def _epilog(examples: Sequence[str], notes: str) -> str:
    """What stands below a command's flags: examples, and what else is to be known."""
    lines = [f"example{'s' if len(examples) > 1 else ''}:", *(f"  {example}" for example in examples)]
    return "\n".join([*lines, *(["", _wrapped(notes)] if notes else [])])


def _use_folder_for_temporary_files() -> None:
    """Has everything use the folder that Python finds where `TMPDIR` names none, as Lance would not."""
    named = os.environ.get("TMPDIR")
    if named and not Path(named).is_dir():
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TMPDIR"] = found = str(Path(folder).parent)
        write_notice(f"TMPDIR names {named}, which is no folder; {found} is used instead.")
