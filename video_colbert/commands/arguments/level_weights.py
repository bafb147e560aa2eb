"""The argument `--level-weights`: how much each level counts in a score."""

from __future__ import annotations

import argparse
import math

HELP = (
    "how much each level counts in the score, such as frame=1,video=0.5; what is not named counts what it does in the "
    "model, 1 unless weights were fitted, and 0 leaves a level out"
)


def add_level_weights(parser: argparse._ActionsContainer) -> None:
    """Adds --level-weights; its value is a weight by level, empty where it is not given."""
    parser.add_argument("--level-weights", type=level_weights, default={}, metavar="LEVEL=WEIGHT,...", help=HELP)


def level_weights(argument: str) -> dict[str, float]:
    """Weights by level, from text such as "frame=1,video=0.5".

    Raises:
        argparse.ArgumentTypeError: the text is not of that form, names a level twice, or a weight is no finite number
            from 0.
    """
    weights: dict[str, float] = {}
    for part in argument.split(","):
        level, separator, text = (piece.strip() for piece in part.partition("="))
        if not level or not separator:
            raise argparse.ArgumentTypeError(f"{part!r} is not LEVEL=WEIGHT, such as frame=1,video=0.5")
        if level in weights:
            raise argparse.ArgumentTypeError(f"the level {level!r} is named twice in {argument!r}")
        try:
            weights[level] = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"the weight of {level!r} must be a number, not {text!r}") from None
        if not math.isfinite(weights[level]) or weights[level] < 0:
            raise argparse.ArgumentTypeError(f"the weight of {level!r} must be finite and not negative, not {text!r}")
    return weights
