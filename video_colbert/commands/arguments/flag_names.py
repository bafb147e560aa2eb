"""Flags by their names: typed with - or _, and in place of the arguments that messages of the library name."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

# A name as Python has it, with the value that may follow; no part of a path, of quoted text or of a longer word.
_ARGUMENT = re.compile(
    r"(?<![\w'\"/.\\-])(?P<name>[a-z]\w*)(?:=(?P<value>'[^']*'|[^\s,;:)]*[^\s,;:).]))?(?![\w'\"/\\-]|\.\w)"
)


def with_dashes(argv: Sequence[str]) -> list[str]:
    """A command line whose flags are spelled with dashes, such as --data-dir for --data_dir.

    Args:
        argv: the words; those behind `--` are no flags.

    Example:
        >>> with_dashes(["--data_dir=my_videos", "a_b", "--", "--a_b"])
        ['--data-dir=my_videos', 'a_b', '--', '--a_b']
    """
    end = argv.index("--") if "--" in argv else len(argv)
    return [*map(_with_dashes, argv[:end]), *argv[end:]]


def name_flags(message: str, names: Collection[str]) -> str:
    """A message of the library in the words of the command line: --num-frames 6 for num_frames=6.

    Args:
        message: it writes arguments as Python does, with their values or, if there is an underscore in them, alone.
        names: the arguments that are flags of the command.

    Example:
        >>> name_flags("made with codec='compact', not codec='int8'; num_frames is 99", ["codec", "num_frames"])
        'made with --codec compact, not --codec int8; --num-frames is 99'
    """

    def flag(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if name not in names or (value is None and "_" not in name):
            return found[0]
        flag = f"--{name.replace('_', '-')}"
        return flag if value in (None, "True") else f"{flag} {value.strip(chr(39))}"

    return _ARGUMENT.sub(flag, message)


def _with_dashes(word: str) -> str:
    name, separator, value = word.partition("=")
    if not name.startswith("--") or " " in name:
        return word
    return f"{name.replace('_', '-')}{separator}{value}"
