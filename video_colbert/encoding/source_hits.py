"""What a source of words found in a video: the passage, with the words that matched and when they are said."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from video_colbert.console import printable
from video_colbert.encoding.display import format_seconds

_TIME_DECIMALS = 3
_SCORE_DECIMALS = 7
_ELLIPSIS = "..."


@dataclass(frozen=True)
class MatchedWord:
    """A word of a passage that matched the query.

    Attributes:
        word: the word.
        start: with which letter of the passage's text it begins, from 0.
        end: before which it ends.
        similarity: of the query's token that it matched best, a cosine; 1 of the same word.
        time: when it is said or shown, in seconds from the start of the video; None where only the passage's times
            are known.
    """

    word: str
    start: int
    end: int
    similarity: float = 1.0
    time: float | None = None


@dataclass(frozen=True)
class SourceHit:
    """A source that found a video.

    Attributes:
        source: "video" for its pictures, "keywords", or where the passage comes from, such as "speech".
        rank: where the video stands in this source's own list, from 1.
        score: its score there; of another unit in each source.
        text: the passage that matched best; None of pictures.
        kind: where the passage comes from; None of pictures.
        start: when the passage begins, in seconds; None where it is of the video as a whole.
        end: when it ends; likewise.
        matched: the words of the passage that matched, in its order.

    Example:
        >>> words = (MatchedWord("Leaves", 0, 6, 0.9, 12.2), MatchedWord("light", 11, 16, 0.7, 12.9))
        >>> hit = SourceHit("speech", 1, 21.5, "Leaves eat light.", "speech", 12.0, 14.0, words)
        >>> hit.quoted()
        '*Leaves* eat *light*.'
    """

    source: str
    rank: int
    score: float
    text: str | None = None
    kind: str | None = None
    start: float | None = None
    end: float | None = None
    matched: tuple[MatchedWord, ...] = ()

    def quoted(self, width: int | None = None) -> str:
        """The passage with its matched words between asterisks.

        Args:
            width: letters of the passage, at most, around the first matched word; None for all.
        """
        text = self.text or ""
        first, last = 0, len(text)
        if width is not None and len(text) > width:
            begins = self.matched[0].start if self.matched else 0
            first = max(0, min(begins - width // 4, len(text) - width))
            last = first + width
        marked = "".join(f"*{part}*" if is_matched else part for part, is_matched in self._parts(first, last))
        return printable(f"{_ELLIPSIS if first else ''}{marked}{_ELLIPSIS if last < len(text) else ''}")

    def as_html(self) -> str:
        """The source, its passage's times and the passage, its matched words marked."""
        marked = "".join(
            f"<mark>{html.escape(part)}</mark>" if is_matched else html.escape(part)
            for part, is_matched in self.parts()
        )
        return f"{html.escape(self._head())}: {marked}"

    def parts(self) -> list[tuple[str, bool]]:
        """The passage in parts, and of each whether it is a matched word; none of pictures."""
        return [(part, is_matched) for part, is_matched in self._parts(0, len(self.text or "")) if part]

    def _parts(self, first: int, last: int) -> Iterator[tuple[str, bool]]:
        """A stretch of the text in parts, and whether each is a matched word."""
        text, place = self.text or "", first
        for word in self.matched:
            if word.start >= place and word.end <= last:
                yield text[place : word.start], False
                yield text[word.start : word.end], True
                place = word.end
        yield text[place:last], False

    def _head(self) -> str:
        times = "" if self.start is None or self.end is None else f" {_times(self.start, self.end)}"
        kind = "" if self.kind in (None, self.source) else f" in {self.kind}"
        return f"{self.source}{kind}{times}"

    def line(self, width: int) -> str:
        """The source, its passage's times and the passage, in about so many letters."""
        head = self._head()
        return f"{head}  {self.quoted(max(20, width - len(head) - 10))}"

    def as_dict(self) -> dict[str, Any]:
        """What `search --json` writes of a source; programs rely on these names."""
        return {
            "source": self.source,
            "rank": self.rank,
            "score": round(self.score, _SCORE_DECIMALS),
            "text": self.text,
            "kind": self.kind,
            "start": _rounded(self.start),
            "end": _rounded(self.end),
            "matched": [
                {
                    "word": word.word,
                    "from": word.start,
                    "to": word.end,
                    "similarity": round(word.similarity, _SCORE_DECIMALS),
                    "time": _rounded(word.time),
                }
                for word in self.matched
            ],
        }


def _times(start: float, end: float) -> str:
    return f"{format_seconds(start)}-{format_seconds(end)}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, _TIME_DECIMALS)
