"""The arguments of commands that take a picture or a clip as the query."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.numbers import share
from video_colbert.encoding.media_files import is_remote
from video_colbert.errors import EncodingError

if TYPE_CHECKING:
    from video_colbert.encoding.encoded import VideoClip
    from video_colbert.encoding.visual_query import VisualQuery

_TIME = r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)"
_STRETCH = re.compile(rf"(?P<file>.+)@(?P<start>{_TIME})?-(?P<end>{_TIME})?", re.DOTALL)


def add_visual_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --image, --clip and --text-weight."""
    group = parser.add_argument_group("a picture or a clip as the query, with or without TEXT")
    group.add_argument("--image", metavar="FILE", help="find what looks like this picture (JPEG, PNG, WebP, GIF ...)")
    group.add_argument(
        "--clip",
        metavar="FILE[@START-END]",
        help="find what looks like this video, or like a stretch of it in seconds or minutes, such as "
        "trip.mp4@12-15.5, trip.mp4@1:05- or trip.mp4@-10",
    )
    group.add_argument(
        "--text-weight",
        type=share,
        metavar="SHARE",
        help="with TEXT, its share of the score, from 0 to 1 (default: 0.5)",
    )


def asks_by_picture(arguments: argparse.Namespace) -> bool:
    """Whether a picture or a clip is given."""
    return arguments.image is not None or arguments.clip is not None


def read_visual_query(arguments: argparse.Namespace, text: str) -> VisualQuery | None:
    """The query by picture or clip that the arguments of `add_visual_arguments` give.

    Args:
        arguments: what was parsed.
        text: TEXT; empty if there is none.

    Returns:
        The query; None if neither is given.

    Raises:
        EncodingError: both are given, a file cannot be read, a stretch ends before it starts, or a weight is given
            that weighs nothing.
    """
    from video_colbert.encoding.visual_query import VisualQuery

    if not asks_by_picture(arguments):
        if arguments.text_weight is not None:
            raise EncodingError("--text-weight weighs TEXT against --image or --clip; give one, or leave it out")
        return None
    if arguments.image is not None and arguments.clip is not None:
        raise EncodingError("--image and --clip are two queries; give one of them")
    if arguments.text_weight is not None and not text:
        raise EncodingError("--text-weight weighs TEXT, and there is none; give TEXT, or leave the weight out")
    weight = {} if arguments.text_weight is None else {"text_weight": arguments.text_weight}
    if arguments.clip is not None:
        return VisualQuery(clip=parse_clip(arguments.clip), text=text or None, **weight)
    from video_colbert.encoding.visual_query.picture_files import read_picture

    try:
        image = read_picture(arguments.image)
    except EncodingError as error:
        raise EncodingError(f"--image {error}") from error
    return VisualQuery(image=image, text=text or None, name=arguments.image, **weight)


def parse_clip(given: str) -> VideoClip:
    """The clip that --clip names.

    A file whose own name ends like a stretch is taken as a whole.

    Args:
        given: a path or URL, perhaps with `@START-END`, each in seconds or as `[hours:]minutes:seconds`.

    Raises:
        EncodingError: what follows @ is no stretch, or there is no such file.
    """
    from video_colbert.encoding.encoded import VideoClip

    found = _STRETCH.fullmatch(given)
    if found is None or (not is_remote(given) and Path(given).exists()):
        if "@" in given and not is_remote(given) and not Path(given).exists():
            raise EncodingError(
                f"--clip {given}: no such file, and what follows @ is no stretch such as 12-15.5, 1:05- or -10"
            )
        return VideoClip(_present(given))
    start, end = (_seconds(found[name]) for name in ("start", "end"))
    if (start or 0.0) >= (math.inf if end is None else end):
        raise EncodingError(f"--clip {given}: the stretch ends before it starts; give the earlier time first")
    return VideoClip(_present(found["file"]), start, end)


def _present(file: str) -> str:
    if not is_remote(file) and not Path(file).exists():
        raise EncodingError(f"--clip {file}: there is no such file")
    return file


def _seconds(time: str | None) -> float | None:
    if time is None:
        return None
    seconds = 0.0
    for part in time.split(":"):
        seconds = 60.0 * seconds + float(part)
    return seconds
