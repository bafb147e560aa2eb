"""What the command line tells its user: results on standard output, the rest on standard error, and exit codes."""

import sys
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes; besides these, argparse's own 2 for a command line that is not understood."""

    OK = 0
    FAILED = 1
    SOME_BAD = 3
    INTERRUPTED = 130


def write_result(text: str) -> None:
    """Writes what was asked for, so that it can be piped into a file or another program."""
    sys.stdout.write(text + "\n")


def write_notice(text: str) -> None:
    """Writes what a person should know beside the result."""
    sys.stderr.write(text + "\n")
