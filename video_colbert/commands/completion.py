"""Prints what a shell runs so that TAB completes commands, flags and their values."""

from __future__ import annotations

import argparse

from video_colbert.console import ExitCode, write_result

NAME = "completion"
HELP = "let the shell complete this command line"
EXAMPLES = ('eval "$(video-colbert completion bash)"', "video-colbert completion fish | source")

_PROGRAM = "video-colbert"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "shell",
        choices=("bash", "zsh", "fish"),
        metavar="SHELL",
        help="bash, zsh or fish; put the example's line into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the shell's code."""
    from argcomplete.shell_integration import shellcode

    write_result(shellcode([_PROGRAM], shell=arguments.shell))
    return ExitCode.OK


def answer_shell(parser: argparse.ArgumentParser) -> None:
    """Tells the shell that asks how its command line may go on, and ends the process.

    Args:
        parser: of the command line.
    """
    import argcomplete

    argcomplete.autocomplete(parser)
