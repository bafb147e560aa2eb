"""Numbers as a user types them."""

from __future__ import annotations

import argparse
import math


def positive_int(text: str) -> int:
    """Reads a whole number from 1.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def finite_number(text: str) -> float:
    """Reads a number, which is not infinite and not NaN.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    return _finite(text, "a number")


def seconds(text: str) -> float:
    """Reads a number of seconds from 0.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    return _finite(text, "a number of seconds", lowest=0.0)


def positive_seconds(text: str) -> float:
    """Reads a number of seconds above 0.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    number = seconds(text)
    if not number:
        raise argparse.ArgumentTypeError("must be more than 0 seconds")
    return number


def share(text: str) -> float:
    """Reads a number from 0 to 1.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    return _finite(text, "a number from 0 to 1", lowest=0.0, highest=1.0)


def _finite(text: str, what: str, *, lowest: float = -math.inf, highest: float = math.inf) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and lowest <= number <= highest):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number
