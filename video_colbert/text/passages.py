"""Passages: stretches of what is said, subtitled, written on the screen or told of a video, with their seconds."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

Source = Literal["subtitles", "speech", "screen_text", "description", "document"]
"""Where a passage comes from; a document is a text of a plain collection, which belongs to no video."""

SOURCES: tuple[Source, ...] = get_args(Source)

_SENTENCE_ENDS = (".", "!", "?", "\N{HORIZONTAL ELLIPSIS}", "\N{IDEOGRAPHIC FULL STOP}", "\N{FULLWIDTH QUESTION MARK}")


class TimedWord(NamedTuple):
    """A word of a passage.

    Attributes:
        text: the word, with its punctuation.
        start: seconds since the start of the video at which it begins.
        end: seconds at which it ends.
    """

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Passage:
    """A stretch of text of a video.

    Attributes:
        source: where it comes from.
        text: the text, in one line.
        start: seconds since the start of the video at which it begins; None where it is of the video as a whole.
        end: seconds at which it ends; None likewise.
        words: its words with their times, where the source knows them.
    """

    source: Source
    text: str
    start: float | None = None
    end: float | None = None
    words: tuple[TimedWord, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The passage as JSON knows it; times to the millisecond, as `from_json` takes it."""
        return {
            "source": self.source,
            "text": self.text,
            "start": _milliseconds(self.start),
            "end": _milliseconds(self.end),
            "words": [[word.text, _milliseconds(word.start), _milliseconds(word.end)] for word in self.words],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Passage:
        """A passage of `to_json`."""
        words = tuple(TimedWord(*word) for word in record["words"])
        return cls(record["source"], record["text"], record["start"], record["end"], words)


@dataclass(frozen=True)
class ReadPassages:
    """What a reader found in a video.

    Attributes:
        passages: in the order of their times.
        problem: what could not be read, in one sentence without the file's name; None where all was.
    """

    passages: Sequence[Passage]
    problem: str | None = None


class PassageReader(Protocol):
    """Reads passages of one source out of video files; until it is loaded it is small and travels to processes."""

    @property
    def source(self) -> Source:
        """The source of its passages."""
        ...

    def settings_of(self, path: str) -> str:
        """What the passages of a file depend on beside its bytes, such as the model: those of others are read anew.

        Args:
            path: of a local video file.
        """
        ...

    def load(self, threads: int = 0) -> None:
        """Loads what reading needs, such as a model; without it, the first `read` does.

        Args:
            threads: processor threads to read with; 0 for as many as there are cores.

        Raises:
            ModelLoadError: there is no such model, or it does not load.
            PassageError: the model cannot read what is asked for.
        """
        ...

    def read(self, path: str, progress: Callable[[float], None] | None = None) -> ReadPassages:
        """Reads a file.

        Args:
            path: of a local video file.
            progress: called now and then with the seconds of the video that are read, where that takes long.

        Returns:
            Its passages. None and no problem where it has nothing of this source; what is damaged is a problem, and
            never an exception.
        """
        ...


@runtime_checkable
class BesideReader(PassageReader, Protocol):
    """Reads files that lie beside a video, too."""

    def has_file_beside(self, path: str) -> bool:
        """Whether a file that is read lies beside a video.

        Args:
            path: of a local video file.
        """
        ...


def join_passages(
    parts: Sequence[Passage], *, most_seconds: float = 20.0, enough_seconds: float = 10.0, most_gap: float = 2.0
) -> list[Passage]:
    """Passages of some sentences out of parts of sentences, as subtitles show them and as speech is recognised.

    A part is joined to the one before it unless both together would be longer than `most_seconds`, more than
    `most_gap` is silent between them, or the passage so far lasts `enough_seconds` and ends with a sentence.

    Args:
        parts: of one source, in the order of their times.
        most_seconds: length of a passage, unless a part is longer.
        enough_seconds: length from which the end of a sentence ends a passage.
        most_gap: seconds between two parts of a passage.

    Example:
        >>> parts = [Passage("speech", "Leaves are", 0.0, 1.0), Passage("speech", "green.", 1.0, 2.0)]
        >>> [passage.text for passage in join_passages(parts)]
        ['Leaves are green.']
    """
    groups: list[list[Passage]] = []
    for part in parts:
        if groups and _belong_together(groups[-1], part, most_seconds, enough_seconds, most_gap):
            groups[-1].append(part)
        else:
            groups.append([part])
    return [
        dataclasses.replace(
            group[0],
            text=" ".join(part.text for part in group),
            end=group[-1].end,
            words=tuple(itertools.chain.from_iterable(part.words for part in group)),
        )
        for group in groups
    ]


def words_between(text: str, start: float, end: float) -> tuple[TimedWord, ...]:
    """The words of a text with times in proportion to their lengths, where only the text's own times are known.

    Args:
        text: the text.
        start: seconds at which it begins.
        end: seconds at which it ends.
    """
    words = text.split()
    ends = list(itertools.accumulate(map(len, words), initial=0))
    seconds = [start + (end - start) * place / (ends[-1] or 1) for place in ends]
    # As TimedWord(word, begins, ends) does, without a call in Python for each of the thousands in a film.
    return tuple(map(partial(tuple.__new__, TimedWord), zip(words, seconds, seconds[1:], strict=False)))


def one_line(text: str) -> str:
    """A text without line breaks and control characters, its words parted by one space."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def _belong_together(
    group: Sequence[Passage], part: Passage, most_seconds: float, enough_seconds: float, most_gap: float
) -> bool:
    start, end = group[0].start, group[-1].end
    if start is None or end is None or part.start is None or part.end is None:
        return False
    is_enough = end - start >= enough_seconds and group[-1].text.endswith(_SENTENCE_ENDS)
    return not is_enough and part.start - end <= most_gap and part.end - start <= most_seconds


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
