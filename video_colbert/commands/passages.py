"""Reads what is said, subtitled, written on the screen and told of in videos, a JSON line a passage.

A line has the video's path, the source, the text, the seconds from start to end and the words with theirs. What cannot
be read of a video is told, and does not stop the others.
"""

from __future__ import annotations

import argparse
import json

from video_colbert.commands.arguments.reader_arguments import add_reader_arguments, make_readers
from video_colbert.console import ExitCode, write_notice, write_result
from video_colbert.errors import PassageError

NAME = "passages"
HELP = "read the subtitles, speech and texts of videos"
EXAMPLES = ("video-colbert passages my_videos --subtitles --description",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="files, and folders, which are taken at any depth")
    sources = parser.add_argument_group("what is read; at least one of")
    add_reader_arguments(sources, description=False)
    parser.add_argument("--device", help="cpu, cuda or auto, for speech (default: auto)")


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

    sources = find_video_files(arguments.videos)
    files = sources.files
    readers = make_readers(arguments)
    if not readers:
        raise PassageError("nothing is to be read; name --subtitles, --speech MODEL, --screen-text or --description")
    for reader in readers:
        reader.load()
    problems = len(sources.unreadable)
    for folder in sources.bad_folders():
        write_notice(f"{folder.source}: {folder.reason}")
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
