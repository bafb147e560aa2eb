"""Subtitles: text streams inside a video file, and the files of subtitles that lie beside it."""

from __future__ import annotations

import bisect
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
from av.container import InputContainer
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from video_colbert.dataset_builders.video_files import AUDIO_EXTENSIONS, VIDEO_EXTENSIONS
from video_colbert.errors import MissingExtraError
from video_colbert.processing.video_containers import decoding_errors, open_container
from video_colbert.processing.video_sources import VideoDecodingError
from video_colbert.text.passages import Passage, ReadPassages, join_passages, one_line, words_between
from video_colbert.text.stream_clock import first_second

if TYPE_CHECKING:
    from pysubs2 import SSAEvent, SSAFile

SUBTITLE_SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
"""Endings of the files of subtitles that are read, in the order of preference."""

# The longest film's subtitles are a few hundred kilobytes.
_MOST_BYTES = 2**26
# A cue that begins this much before the end of the one before it shows its last line again, as live captions do.
_OVERLAP_SECONDS = 0.25
# A folder's time may stay what it is while files are added so soon after the last one.
_UNSETTLED_NANOSECONDS = 3 * 10**9
# Of SubRip and WebVTT: <i>, </font>, <v Ann>.
_TAGS = re.compile(r"< */? *[a-zA-Z][^>]*>")
_ASS_OVERRIDES = re.compile(r"\{[^}]*\}")
# Drawings in place of text.
_ASS_DRAWING = re.compile(r"\{[^}]*\\p[1-9]")


class SubtitleReader:
    """Reads subtitles: of files beside the video if there are any, else of the streams inside it.

    Beside `talk.mp4` these are `talk.srt`, `talk.en.srt` and so on, with the endings of `SUBTITLE_SUFFIXES`; those of
    another video there, as `talk.part2.srt` beside `talk.part2.mp4`, are not, nor are forced ones beside whole ones.
    One file, or one stream, is read: of the language that is asked for; without one, the file without a language in
    its name, or the stream that the container marks as the default. Cues are joined to passages of some sentences.

    Args:
        language: a code such as "en" or "eng", as names of files and streams have it; None for the default ones.

    Raises:
        MissingExtraError: pysubs2 or langcodes is not installed.
        ValueError: the language is no such code.
    """

    source: Literal["subtitles"] = "subtitles"

    def __init__(self, language: str | None = None) -> None:
        try:
            # That one is missing is said before any file is read.
            import langcodes  # noqa: F401
            import pysubs2  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                f"reading subtitles needs the package {error.name}, which is not installed: "
                "pip install 'video-colbert[text]'"
            ) from error
        self.language = None if language is None else _language_of(language)
        self._listed: tuple[Path | None, int, _Folder] = (None, 0, _Folder())
        if language is not None and self.language is None:
            raise ValueError(f"language is {language!r}; it must be a code such as 'en', 'ger' or 'pt-BR'")

    def settings_of(self, path: str) -> str:
        """As `PassageReader.settings_of`: the language, and what the file beside the video is, if there is one."""
        settings = f"subtitles 1 language={self.language or ''}"
        beside = self._file_beside(Path(path))
        try:
            state = None if beside is None else beside.stat()
        # `read` says why.
        except OSError:
            return settings
        if beside is None or state is None:
            return settings
        return f"{settings} {beside.name} {state.st_size} {state.st_mtime_ns}"

    def has_file_beside(self, path: str) -> bool:
        """Whether a file of subtitles that is read lies beside a video.

        Args:
            path: of a local video file.
        """
        return self._file_beside(Path(path)) is not None

    def load(self, threads: int = 0) -> None:
        """Loads nothing."""

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        """Reads a video's subtitles.

        Args:
            path: of a local video file.
            progress: not called.
        """
        beside = self._file_beside(Path(path))
        try:
            cues, problem = self._cues_of_streams(path) if beside is None else _cues_of_file(beside)
        except VideoDecodingError as error:
            return ReadPassages([], error.reason)
        except _SubtitleError as error:
            return ReadPassages([], str(error))
        parts = [
            Passage(self.source, text, start, end, words_between(text, start, end))
            for start, end, text in _without_repeated_lines(cues)
        ]
        return ReadPassages(join_passages(parts), problem)

    def _file_beside(self, video: Path) -> Path | None:
        """The file of subtitles beside a video that is read, if there is one."""
        folder = self._folder(video.parent)
        names = folder.subtitles
        found: list[tuple[int, bool, int, str]] = []
        for name in names[bisect.bisect_left(names, f"{video.stem}.") :]:
            if not name.startswith(f"{video.stem}."):
                break
            stem, suffix = Path(name).stem, Path(name).suffix.lower()
            # Those of talk.part2.mp4 begin as those of talk.mp4 do.
            if any(len(other) > len(video.stem) for other in _beginnings(stem) if other in folder.videos):
                continue
            tags = stem[len(video.stem) :].lower().split(".")[1:]
            if self.language is not None and tags and self.language not in map(_language_of, tags):
                continue
            # Asked for a language, a file that names it comes before one that names none, and the other way round.
            is_second = bool(tags) is (self.language is None)
            # Forced subtitles translate only what is foreign.
            found.append((int(is_second), "forced" in tags, SUBTITLE_SUFFIXES.index(suffix), name))
        return video.parent / min(found)[-1] if found else None

    def _folder(self, folder: Path) -> _Folder:
        """What a folder holds, read anew once it has changed."""
        try:
            changed = folder.stat().st_mtime_ns
            is_settled = time.time_ns() - changed > _UNSETTLED_NANOSECONDS
            if self._listed[:2] != (folder, changed) or not is_settled:
                self._listed = (folder, changed, _Folder.of(folder))
        except OSError:
            return _Folder()
        return self._listed[2]

    def _cues_of_streams(self, path: str) -> tuple[list[tuple[float, float, str]], str | None]:
        with decoding_errors(path), open_container(path, path) as container:
            stream = self._stream(container)
            if stream is None:
                return [], None
            cues = list(_cues_of_stream(container, stream))
        is_pictures = stream.codec_context.name in ("dvdsub", "dvbsub", "pgssub", "xsub")
        problem = "its subtitles are pictures, which are not read" if is_pictures and not cues else None
        return cues, problem

    def _stream(self, container: InputContainer) -> SubtitleStream | None:
        streams = [stream for stream in container.streams.subtitles if stream.codec_context is not None]
        if self.language is not None:
            streams = [stream for stream in streams if _language_of(stream.language or "und") == self.language]
        marked = [stream for stream in streams if stream.disposition & Disposition.default]
        whole = [stream for stream in marked or streams if not stream.disposition & Disposition.forced]
        return next(iter(whole or streams), None)


@dataclass(frozen=True)
class _Folder:
    """What a folder holds.

    Attributes:
        subtitles: names of its files of subtitles, sorted.
        videos: names of its media files without their endings.
    """

    subtitles: Sequence[str] = ()
    videos: frozenset[str] = frozenset()

    @classmethod
    def of(cls, folder: Path) -> _Folder:
        """Looks into a folder.

        Raises:
            OSError: it cannot be looked into.
        """
        files = list(folder.iterdir())
        return cls(
            sorted(file.name for file in files if file.suffix.lower() in SUBTITLE_SUFFIXES),
            frozenset(file.stem for file in files if file.suffix.lower() in VIDEO_EXTENSIONS | AUDIO_EXTENSIONS),
        )


def _beginnings(name: str) -> Iterator[str]:
    """A name up to each of its dots, and all of it."""
    parts = name.split(".")
    return (".".join(parts[:number]) for number in range(1, len(parts) + 1))


class _SubtitleError(Exception):
    """A file of subtitles cannot be read; the message says which and why."""


def _cues_of_file(file: Path) -> tuple[list[tuple[float, float, str]], str | None]:
    """The cues of a file, and what is to be said of how it was read.

    Raises:
        _SubtitleError: it cannot be read.
    """
    from pysubs2 import SSAFile
    from pysubs2.exceptions import Pysubs2Error

    try:
        if file.stat().st_size > _MOST_BYTES:
            raise _SubtitleError(f"{file.name} beside it is larger than {_MOST_BYTES // 2**20} MiB")
        content = file.read_bytes()
    except OSError as error:
        raise _SubtitleError(f"{file.name} beside it cannot be read ({error.strerror})") from error
    try:
        text, encoding = _decoded(content)
        # It makes codes of ASS of some tags, one after the other, which takes most of its time.
        read: SSAFile = SSAFile.from_string(text, format_=file.suffix.lower()[1:], keep_html_tags=True)
    # A damaged line makes its parser raise more than its own errors.
    except (Pysubs2Error, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise _SubtitleError(f"{file.name} beside it is not what its name says ({error})") from error
    has_tags = file.suffix.lower() in (".srt", ".vtt")
    cues = [
        (event.start / 1000, event.end / 1000, _plain(event, has_tags))
        for event in read
        if not event.is_comment and not ("\\p" in event.text and event.is_drawing)
    ]
    problem = None if encoding != "cp1252" else f"{file.name} beside it is not UTF-8 and was read as Windows-1252"
    return sorted(cues, key=lambda cue: cue[0]), problem


def _plain(event: SSAEvent, has_tags: bool) -> str:
    """A cue's text without markup."""
    # Most cues have none.
    text: str = event.plaintext if "{" in event.text or "\\" in event.text else event.text
    return _TAGS.sub("", text) if has_tags and "<" in text else text


def _decoded(content: bytes) -> tuple[str, str]:
    """A file's text and its encoding: UTF-8, UTF-16 with its mark, or Windows-1252, which was usual before.

    Raises:
        UnicodeDecodeError: it is none of them.
    """
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    encoding = "utf-16" if is_wide else "utf-8-sig"
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError:
        if is_wide:
            raise
        return content.decode("cp1252"), "cp1252"


def _cues_of_stream(container: InputContainer, stream: SubtitleStream) -> Iterator[tuple[float, float, str]]:
    origin = first_second(container)
    for packet in container.demux(stream):
        if not packet.size or packet.pts is None or packet.time_base is None:
            continue
        start = float(packet.pts * packet.time_base) - origin
        end = start + float((packet.duration or 0) * packet.time_base)
        try:
            rects: Sequence[object] = stream.decode(packet)
        except av.FFmpegError:
            continue
        texts = [_text_of(rect) for rect in rects if isinstance(rect, AssSubtitle)]
        yield start, end, "\n".join(text for text in texts if text)


def _text_of(rect: AssSubtitle) -> str:
    """The text of a cue, of which FFmpeg makes a line of ASS whatever it was."""
    line = rect.ass.decode("utf-8", errors="replace")
    # ReadOrder, Layer, Style, Name, three margins, Effect, Text.
    text = line.split(",", 8)[-1]
    if _ASS_DRAWING.search(text):
        return ""
    return _ASS_OVERRIDES.sub("", text).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")


def _without_repeated_lines(cues: Sequence[tuple[float, float, str]]) -> Iterator[tuple[float, float, str]]:
    """Cues in one line each, without the lines of the cue before that live captions show once more."""
    shown: list[str] = []
    ended = float("-inf")
    for start, end, text in cues:
        lines = [line for line in map(one_line, text.splitlines()) if line]
        new = [line for line in lines if line not in shown] if start <= ended + _OVERLAP_SECONDS else lines
        if lines:
            shown, ended = lines, end
        if new and start >= 0.0 and end >= start:
            yield start, end, " ".join(new)


def _language_of(code: str) -> str | None:
    """The language that a code such as "eng" or "pt-BR" names, by its shortest code; None where it names none."""
    from langcodes import Language
    from langcodes.tag_parser import LanguageTagError

    try:
        language: str | None = Language.get(code).language
    except LanguageTagError:
        return None
    return language
