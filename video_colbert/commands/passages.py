"""Reads what is said, subtitled, written on the screen and told of in videos, a JSON line a passage.

A line has the video's path, the source, the text, the seconds from start to end and the words with theirs. What cannot
be read of a video is told, and does not stop the others.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from video_colbert.commands.arguments.numbers import positive_seconds
from video_colbert.console import ExitCode, write_notice, write_result

if TYPE_CHECKING:
    from video_colbert.text.passages import PassageReader

NAME = "passages"
HELP = "read the subtitles, speech and texts of videos"
EXAMPLES = ("video-colbert passages my_videos --subtitles --description",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="files, and folders, which are taken at any depth")
    sources = parser.add_argument_group("what is read; at least one of")
    sources.add_argument(
        "--subtitles",
        action="store_true",
        help="subtitles of .srt, .vtt, .ass and .ssa files beside a video, else those inside it (extra `text`)",
    )
    sources.add_argument(
        "--speech",
        metavar="MODEL",
        help="speech, by a Whisper model for CTranslate2: its Hub id, such as Systran/faster-whisper-small, or its "
        "folder (extra `speech`)",
    )
    sources.add_argument(
        "--screen-text", action="store_true", help="text that can be read in the pictures (extra `screen-text`)"
    )
    sources.add_argument("--description", action="store_true", help="the title, comment and description in the file")
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="the language of subtitles and speech, such as en (default: subtitles that name none or are marked as "
        "default; speech in whichever it is)",
    )
    parser.add_argument(
        "--every",
        type=positive_seconds,
        default=1.0,
        metavar="SECONDS",
        help="seconds between two pictures in which text is looked for (default: 1)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto, for speech (default: auto)")


def run(arguments: argparse.Namespace) -> int:
    """Reads the passages of all videos.

    Raises:
        FileNotFoundError: a file or folder is missing.
        PassageError: nothing is to be read.
        MissingExtraError: a package that reads it is not installed.
        ModelLoadError: the speech model cannot be loaded.
    """
    from video_colbert.index import find_video_files
    from video_colbert.progress import RunProgress

    files = find_video_files(arguments.videos).files
    readers = _readers(arguments)
    problems = 0
    with RunProgress("reading", len(files), unit="video") as progress:
        for number, file in enumerate(files):
            progress.update(number, f"{number}/{len(files)} videos")
            for reader in readers:
                found = reader.read(str(file))
                for passage in found.passages:
                    write_result(json.dumps({"video": str(file), **passage.to_json()}, ensure_ascii=False))
                if found.problem is not None:
                    problems += 1
                    write_notice(f"{file}: {found.problem}")
    return ExitCode.SOME_BAD if problems else ExitCode.OK


def _readers(arguments: argparse.Namespace) -> list[PassageReader]:
    """The readers of what is asked for.

    Raises:
        PassageError: nothing is, or the language is none.
    """
    from video_colbert.errors import PassageError

    readers: list[PassageReader] = []
    try:
        if arguments.subtitles:
            from video_colbert.text.subtitles import SubtitleReader

            readers.append(SubtitleReader(arguments.language))
        if arguments.speech is not None:
            from video_colbert.text.speech import SpeechReader

            readers.append(SpeechReader(arguments.speech, language=arguments.language, device=arguments.device))
    except ValueError as error:
        raise PassageError(str(error)) from error
    if arguments.screen_text:
        from video_colbert.text.screen_text import ScreenTextReader

        readers.append(ScreenTextReader(every=arguments.every))
    if arguments.description:
        from video_colbert.text.description import DescriptionReader

        readers.append(DescriptionReader())
    if not readers:
        raise PassageError("nothing is to be read; name --subtitles, --speech MODEL, --screen-text or --description")
    return readers
