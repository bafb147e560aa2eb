"""What the exit code of `video-colbert` says."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes; besides these, argparse's own 2 for a command line that is not understood and 130 for Ctrl-C."""

    OK = 0
    FAILED = 1
    SOME_BAD = 3
    INTERRUPTED = 130
