"""A file whose windows are being decoded and encoded, and what came of them so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from video_colbert.encoding.encoded import BadVideo, EncodedVideo
from video_colbert.index.index_notes import BadFile
from video_colbert.index.ingest.events import FileContent
from video_colbert.index.windows import Window


@dataclass
class FileInWork:
    """A file whose windows are being decoded and encoded.

    Attributes:
        content: what it holds.
        remaining: how many of its windows are not dealt with yet.
        has_good: whether some of it is in the index, or goes into it.
        bad: the window that turned out to be bad last.
        lasting: the bad windows that would be bad again.
        may_pass: whether a window was bad that may be good the next time.
    """

    content: FileContent
    remaining: int
    has_good: bool = False
    bad: BadVideo | None = None
    lasting: dict[Window, BadVideo] = field(default_factory=dict)
    may_pass: bool = False

    def __post_init__(self) -> None:
        self._total = self.remaining

    @property
    def share_done(self) -> float:
        """How much of it is dealt with, from 0 to 1."""
        return 1 - self.remaining / self._total

    def take(self, window: Window, outcome: EncodedVideo | BadVideo) -> None:
        """Takes what came of one of its windows."""
        self.remaining -= 1
        if isinstance(outcome, EncodedVideo):
            self.has_good = True
        elif outcome.is_lasting:
            self.bad = self.lasting[window] = outcome
        else:
            self.bad, self.may_pass = outcome, True

    def to_remember(self) -> BadFile | None:
        """What another run need not try again, once all windows are dealt with; None for nothing."""
        if not self.lasting:
            return None
        windows = tuple(self.lasting) if self.has_good or self.may_pass else ()
        reason = next(iter(self.lasting.values())).reason
        return BadFile(self.content.digest, self.content.path, reason, windows)
