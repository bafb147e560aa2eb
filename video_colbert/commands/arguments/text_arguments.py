"""The arguments about what is said and written: the text model of an index, and what a search asks."""

from __future__ import annotations

import argparse

SOURCE_NAMES = ("video", "subtitles", "speech", "screen_text", "description", "document", "keywords")
FUSION_NAMES = ("calibrated", "reciprocal", "standardised", "max", "learned", "router")


def add_text_model(parser: argparse._ActionsContainer) -> None:
    """Adds --text-model."""
    parser.add_argument(
        "--text-model",
        metavar="MODEL",
        help="model that passages are searched with: Hub id or folder of a ColBERT checkpoint of PyLate, Stanford or "
        "sentence-transformers, or of any text encoder (default: the index's; extra `text`)",
    )


def add_source_arguments(parser: argparse._ActionsContainer) -> None:
    """Adds --only and --fusion."""
    parser.add_argument(
        "--only",
        type=source_names,
        metavar="SOURCE,...",
        help=f"what is asked, of {', '.join(SOURCE_NAMES)} (default: all that the index holds)",
    )
    parser.add_argument(
        "--fusion",
        choices=FUSION_NAMES,
        default=FUSION_NAMES[0],
        help=f"how the lists of several sources become one; `tune` makes an index ready for learned (default: "
        f"{FUSION_NAMES[0]})",
    )


def source_names(argument: str) -> tuple[str, ...]:
    """Sources, from text such as "speech,screen_text".

    Raises:
        argparse.ArgumentTypeError: there is no source of a name.
    """
    names = tuple(name.strip() for name in argument.split(","))
    for name in names:
        if name not in SOURCE_NAMES:
            raise argparse.ArgumentTypeError(f"there is no source {name!r}; there are {', '.join(SOURCE_NAMES)}")
    return names
