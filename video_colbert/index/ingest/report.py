"""What a run did with each file, as its events tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from video_colbert.console import printable
from video_colbert.encoding.display import short_name
from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.scene_changes import STAY_SECONDS
from video_colbert.index.ingest.events import Bad, Duplicate, Encoded, IngestEvent, KnownBad, Moved, Present, Renewed
from video_colbert.text.passages import SOURCES

# Bad files that are shown before the rest is only counted.
_SHOWN = 10


@dataclass(repr=False)
class IndexingReport:
    """What a run did with each file; shown as a line of counts, and the first bad files.

    Attributes:
        added: files that were encoded, or windows of them, and are in the index now.
        renewed: files in the index that were encoded again, since texts that go with their pictures were read.
        present: files whose content was in the index already.
        moved: files whose content was in the index under a path that no longer holds it; the path was updated.
        duplicates: files with the same content as another file that is in the index, and that file.
        bad: files, or windows of files, that could not be read, with the reasons.
        known_bad: files, or windows of files, that an earlier run found bad and that were left, with the reasons.
        gone: files below the folders of the run that are in the index and no longer there.
        high_range: files of high dynamic range that were added with their colours as they are stored, and "PQ" or
            "HLG" for each.
        stills: files of which windows were added that show one frame for minutes, and for how many seconds together.
        described: files that were in the index and have other metadata now.
        clips: how many windows, and videos that are whole, were added.
        replaced: how many were removed because their file has other content or windows now.
        left_out: number of files in folders that were left out, by suffix where they are no media files.
        read: by source, such as "speech", of how many files passages were read.
    """

    added: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    duplicates: dict[str, str] = field(default_factory=dict)
    bad: list[BadVideo] = field(default_factory=list)
    known_bad: list[BadVideo] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    high_range: dict[str, str] = field(default_factory=dict)
    stills: dict[str, float] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)
    clips: int = 0
    replaced: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [", ".join(f"{number} {kind}" for kind, number in self.counts().items()), *self.bad_lines()[:_SHOWN]]
        if len(self.bad) > _SHOWN:
            lines.append(f"  and {len(self.bad) - _SHOWN} more bad files")
        return "\n".join(lines)

    def add_read(self, other: IndexingReport) -> None:
        """Adds what `read_passages` tells of the same run."""
        self.read = {**self.read, **other.read}
        self.bad += other.bad
        self.known_bad += other.known_bad

    def counts(self) -> dict[str, int]:
        """The number of files by what became of them, in words; of kinds that there are none of, only what was added.

        Example:
            >>> IndexingReport(added=["a.mp4", "b.mp4"], clips=2, present=["c.mp4"]).counts()
            {'added': 2, 'already there': 1}
            >>> IndexingReport(added=["a.mp4", "b.mp4"], clips=60)
            2 videos in 60 windows added
        """
        added = "added"
        if self.clips > len(self.added):
            added = f"{'video' if len(self.added) == 1 else 'videos'} in {self.clips} windows added"
        kinds = {
            added: len(self.added),
            "encoded again with their texts": len(self.renewed),
            "already there": len(self.present),
            "moved": len(self.moved),
            "of the same content as another": len(self.duplicates),
            "with other metadata": len(self.described),
            "left out of folders": sum(self.left_out.values()),
            **{f"read for {source.replace('_', ' ')}": self.read[source] for source in SOURCES if source in self.read},
            "of high dynamic range, taken as stored": len(self.high_range),
            "with one frame for minutes, as one window": len(self.stills),
            "bad": len(self.bad),
            "known bad": len(self.known_bad),
            "gone": len(self.gone),
        }
        return {kind: number for kind, number in kinds.items() if number or kind == added}

    def bad_lines(self) -> list[str]:
        """A line for each bad file, with the reason."""
        return [f"  {printable(video.source)}: {printable(video.reason)}" for video in self.bad]

    def duplicate_lines(self) -> list[str]:
        """A line for each file of the same content as another one, ten at most, and how many more there are."""
        lines = [f"  {short_name(path)} is the same as {short_name(other)}" for path, other in self.duplicates.items()]
        more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        return [*lines[:_SHOWN], *more]

    def high_range_lines(self) -> list[str]:
        """A line for each file of high dynamic range, with its curve."""
        return [f"  {printable(path)}: {curve}" for path, curve in sorted(self.high_range.items())]


class ReportBuilder:
    """Collects events into a report."""

    def __init__(self) -> None:
        self._added: dict[str, None] = {}
        self._renewed: dict[str, None] = {}
        self._report = IndexingReport()
        self._bad: list[Bad] = []
        self._known_bad: list[KnownBad] = []

    def take(self, event: IngestEvent) -> None:
        """Takes an event."""
        if isinstance(event, Encoded):
            self._added[event.file.path] = None
            self._report.clips += 1
            if event.video.stored_range is not None:
                self._report.high_range[event.file.path] = event.video.stored_range
            clip, path = event.video.clip, event.file.path
            seconds = 0.0 if clip.end is None else clip.end - (clip.start or 0.0)
            if seconds >= STAY_SECONDS and len(event.video.timestamps) == 1:
                self._report.stills[path] = self._report.stills.get(path, 0.0) + seconds
        elif isinstance(event, Renewed):
            self._renewed[event.file.path] = None
        elif isinstance(event, Bad):
            self._bad.append(event)
        elif isinstance(event, Present):
            self._report.present.append(event.file.path)
        elif isinstance(event, Moved):
            self._report.moved.append(event.file.path)
        elif isinstance(event, Duplicate):
            self._report.duplicates[event.file.path] = event.original
        elif isinstance(event, KnownBad):
            self._known_bad.append(event)

    def finish(
        self, files: Sequence[str], *, described: Sequence[str], replaced: int, gone: Sequence[str]
    ) -> IndexingReport:
        """The report, in the order of the files, whatever the order they were done in.

        Args:
            files: all files of the run.
            described: files that have other metadata now.
            replaced: how many videos and windows were removed.
            gone: files below the folders of the run that are no longer there.
        """
        order = {path: number for number, path in enumerate(files)}

        def rank(path: str) -> int:
            # Copies that stand for a moved file need not be among the files.
            return order.get(path, len(order))

        report = self._report
        report.added, report.described, report.replaced = list(self._added), list(described), replaced
        report.gone, report.renewed = list(gone), list(self._renewed)
        for paths in (report.added, report.renewed, report.present, report.moved, report.described):
            paths.sort(key=rank)
        report.duplicates = {path: report.duplicates[path] for path in sorted(report.duplicates, key=rank)}
        report.bad = [event.video for event in sorted(self._bad, key=lambda event: rank(event.path))]
        report.known_bad = [event.video for event in sorted(self._known_bad, key=lambda event: rank(event.path))]
        return report
