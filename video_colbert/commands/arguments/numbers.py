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
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def seconds(text: str) -> float:
    """Reads a number of seconds from 0.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


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
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number
