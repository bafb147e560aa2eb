"""The arguments that say what is read of videos beside their pictures, and the readers that they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.numbers import positive_seconds

if TYPE_CHECKING:
    from video_colbert.text.passages import PassageReader


def add_reader_arguments(group: argparse._ArgumentGroup, *, description: bool) -> None:
    """Adds the arguments.

    Args:
        group: what they are added to.
        description: whether a column of metadata can be named as a description, beside what the file says of itself.
    """
    group.add_argument(
        "--subtitles",
        action="store_true",
        help="subtitles of .srt, .vtt, .ass and .ssa files beside a video or a copy of it, else those inside it "
        "(extra `text`)",
    )
    group.add_argument(
        "--speech",
        metavar="MODEL",
        help="speech, by a Whisper model for CTranslate2: its Hub id, such as Systran/faster-whisper-small, or its "
        "folder (extra `speech`)",
    )
    group.add_argument(
        "--screen-text", action="store_true", help="text that can be read in the pictures (extra `screen-text`)"
    )
    if description:
        group.add_argument(
            "--description",
            metavar="COLUMN",
            help="this column of the metadata, beside those that earlier runs named, and the title, comment and "
            "description in the file; `-` names no further column",
        )
        group.add_argument(
            "--no-description",
            action="append",
            metavar="COLUMN",
            help="this column, which an earlier run named, is a description no longer, and what it said is taken out "
            "of the index; needs no VIDEO, and may be given several times",
        )
    else:
        group.add_argument("--description", action="store_true", help="the title, comment and description in the file")
    group.add_argument(
        "--language",
        metavar="CODE",
        help="the language of subtitles and speech, such as en (default: subtitles that name none or are marked as "
        "default; speech in whichever it is)",
    )
    group.add_argument(
        "--every",
        type=positive_seconds,
        metavar="SECONDS",
        help="seconds between two pictures in which text is looked for (default: 1)",
    )


def make_readers(arguments: argparse.Namespace) -> list[PassageReader]:
    """The readers that the arguments ask for, none of them loaded.

    Raises:
        PassageError: the language is none, or an argument is of a reader that is not asked for.
        MissingExtraError: a package that reads is not installed.
        ModelLoadError: there is no such speech model.
    """
    from video_colbert.errors import PassageError

    if arguments.every is not None and not arguments.screen_text:
        raise PassageError("--every goes with --screen-text")
    if arguments.language is not None and not arguments.subtitles and arguments.speech is None:
        raise PassageError("--language goes with --subtitles and --speech")
    readers: list[PassageReader] = []
    if arguments.subtitles:
        from video_colbert.text.subtitles import SubtitleReader

        try:
            readers.append(SubtitleReader(arguments.language))
        except ValueError as error:
            raise PassageError(str(error)) from error
    if arguments.speech is not None:
        from video_colbert.text.speech import SpeechReader

        # Of several devices, on which videos are encoded, one listens.
        device = "auto" if arguments.device is None else arguments.device.split(",")[0]
        readers.append(SpeechReader(arguments.speech, language=arguments.language, device=device))
    if arguments.screen_text:
        from video_colbert.text.screen_text import ScreenTextReader

        readers.append(ScreenTextReader(every=1.0 if arguments.every is None else arguments.every))
    if arguments.description:
        from video_colbert.text.description import DescriptionReader

        readers.append(DescriptionReader())
    return readers
