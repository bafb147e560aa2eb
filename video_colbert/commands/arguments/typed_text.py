"""Text that a user types as an argument, whatever encoding the terminal sends it in."""

from __future__ import annotations

import argparse
import os

from video_colbert.console import write_notice
from video_colbert.dataset_builders.video_files import is_unicode


def typed_text(argument: str) -> str:
    """The text of an argument whose bytes Python could not decode, which it keeps as halves of characters.

    Text that is not UTF-8 is read as Western European (Windows-1252 or Latin-1), and a notice says so.

    Args:
        argument: as in `sys.argv`.

    Raises:
        argparse.ArgumentTypeError: it is not made of bytes, so that it cannot come from a terminal.
    """
    if is_unicode(argument):
        return argument
    try:
        content = os.fsencode(argument)
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"{argument!r} is no Unicode text") from error
    for encoding in ("utf-8", "cp1252", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "utf-8":
            write_notice(f"The text is not UTF-8; it is read as {encoding}: {text}")
        return text
    raise AssertionError("Latin-1 has a character for every byte")
