"""Lines of text on the screen followed from frame to frame, and the passages that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from video_colbert.text.passages import Passage

# Readings of one line in two frames agree at least in so much.
_SAME_LINE = 0.8
# A line that is not recognised in so many frames has not gone yet.
_FRAMES_MISSED = 1


@dataclass(frozen=True)
class ScreenLine:
    """A line as it was recognised in one frame.

    Attributes:
        text: what it says.
        score: how sure the recogniser is, from 0 to 1.
        top: where it stands, in pixels.
        left: likewise.
    """

    text: str
    score: float
    top: float
    left: float


@dataclass
class _Followed:
    """A line over several frames: its best reading, and when it was seen."""

    line: ScreenLine
    start: float
    last: float
    missed: int = 0
    end: float | None = None


class LineTracker:
    """Follows lines through frames that are given in the order of their times.

    Args:
        step: seconds between two frames, which is how long a line lasts that one frame shows.

    Attributes:
        last_second: of the last frame.
    """

    def __init__(self, step: float) -> None:
        self._step = step
        self._shown: list[_Followed] = []
        self._gone: list[_Followed] = []
        self.last_second = 0.0

    def show(self, second: float, lines: Sequence[ScreenLine]) -> None:
        """Takes the lines of a frame.

        Args:
            second: at which it appears.
            lines: of the frame.
        """
        self.last_second = second
        left = list(self._shown)
        for line in lines:
            alike = [(_likeness(line.text, followed.line.text), followed) for followed in left]
            likeness, followed = max(alike, key=lambda pair: pair[0], default=(0.0, None))
            if followed is None or likeness < _SAME_LINE:
                self._shown.append(_Followed(line, second, second))
                continue
            left.remove(followed)
            followed.last, followed.missed = second, 0
            if line.score > followed.line.score:
                followed.line = line
        for followed in left:
            followed.missed += 1
            if followed.missed > _FRAMES_MISSED:
                followed.end = followed.last + self._step
                self._shown.remove(followed)
                self._gone.append(followed)

    def stay(self, second: float) -> None:
        """Takes a frame that shows the same as the one before.

        Args:
            second: at which it appears.
        """
        self.last_second = second
        for followed in self._shown:
            if not followed.missed:
                followed.last = second

    def passages(self, end: float) -> list[Passage]:
        """The passages of all lines so far; lines that came and went together make one.

        Args:
            end: seconds at which what is on show now ends.
        """
        together: dict[tuple[float, float], list[ScreenLine]] = {}
        for followed in self._gone + self._shown:
            until = followed.end
            if until is None:
                until = followed.last + self._step if followed.missed else max(end, followed.last)
            together.setdefault((followed.start, until), []).append(followed.line)
        made = []
        for (start, until), lines in sorted(together.items(), key=lambda item: item[0]):
            in_order = sorted(lines, key=lambda line: (line.top, line.left))
            made.append(Passage("screen_text", " ".join(line.text for line in in_order), start, until))
        return made


def _likeness(first: str, second: str) -> float:
    """How much two readings agree, from 0 to 1; spaces and cases, which recognisers mistake, do not count."""
    one, other = ("".join(text.split()).casefold() for text in (first, second))
    return 1.0 if one == other else SequenceMatcher(None, one, other, autojunk=False).ratio()
