"""The one place that writes for the user: results to standard output, the rest to standard error."""

import sys


def write_result(text: str) -> None:
    """Writes what was asked for, so that it can be piped into a file or another program."""
    sys.stdout.write(text + "\n")


def write_notice(text: str) -> None:
    """Writes what a person should know beside the result."""
    sys.stderr.write(text + "\n")
