"""What comes out of the encoder into the index, a commit now and then, with a report of what became of each file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from video_colbert.encoding.encoded import BadVideo, EncodedVideo
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue
from video_colbert.index.ingest.plan import BadClip, DuplicateFile, MovedFile, PlannedFile, PresentFile
from video_colbert.index.video_index import VideoIndex

# Each write makes a version of the table. A killed run loses at most the work since the last one.
SECONDS_BETWEEN_WRITES = 10.0
_CLIPS_BETWEEN_WRITES = 2048


@dataclass
class IndexingReport:
    """What a run did with each file.

    Attributes:
        added: files that were encoded, or windows of them, and are in the index now.
        present: files whose content was in the index already.
        moved: files whose content was in the index under a path that is gone; the path was updated.
        duplicates: files with the same content as another file that is in the index.
        bad: files, or windows of files, that could not be read, with the reasons.
        clips: how many videos and windows were added.
        described: files that were in the index and have other metadata now.
        replaced: how many videos and windows were removed because their file has other content or windows now.
    """

    added: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    bad: list[BadVideo] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    clips: int = 0
    replaced: int = 0


class IndexWriter:
    """Takes results as they come, writes them to the index and keeps count.

    Args:
        index: where they go.
        files: of each path that is encoded or was found complete, what is to be in the index; may grow.
        digests: of each path that the index knew, what its content is now; may grow.
        metadata: values by column, by path.
        seconds_between_writes: how long encoded videos may wait to be written.

    Attributes:
        report: what was done so far; `finish` puts it in order.
    """

    def __init__(
        self,
        index: VideoIndex,
        files: Mapping[str, PlannedFile],
        digests: Mapping[str, str],
        metadata: Mapping[str, Mapping[str, MetadataValue]],
        seconds_between_writes: float,
    ) -> None:
        self.report = IndexingReport()
        self._index = index
        self._files = files
        self._digests = digests
        self._metadata = metadata
        self._seconds_between_writes = seconds_between_writes
        self._last_write = time.monotonic()
        self._waiting: list[tuple[IndexedVideo, EncodedVideo]] = []
        self._added: set[str] = set()
        self._bad: list[BadClip] = []
        self._bad_paths: set[str] = set()

    def take(self, result: object) -> int:
        """Takes a result; returns the number of files, 0 or 1, that are dealt with by it."""
        if isinstance(result, EncodedVideo):
            path = os.fspath(result.clip.source)  # type: ignore[arg-type] # the plan's clips are paths or URLs
            times = tuple(result.timestamps.tolist())
            video = IndexedVideo(
                path,
                self._files[path].digest,
                result.duration,
                times,
                result.clip.start,
                result.clip.end,
                self._metadata.get(path, {}),
            )
            self._waiting.append((video, result))
            return self._one_less(path)
        if isinstance(result, BadClip):
            self._bad.append(result)
            self._bad_paths.add(result.path)
            return 1 if result.is_whole else self._one_less(result.path)
        if isinstance(result, MovedFile):
            self._index.move(dict.fromkeys(result.ids, result.path))
            self.report.moved.append(result.path)
            return 0 if self._files[result.path].remaining else 1
        if isinstance(result, PresentFile):
            self.report.present.append(result.path)
        elif isinstance(result, DuplicateFile):
            self.report.duplicates.append(result.path)
        return 1

    def write_if_due(self) -> None:
        """Writes what waits if it has waited long enough or there is much of it."""
        is_due = time.monotonic() - self._last_write > self._seconds_between_writes
        if self._waiting and (is_due or len(self._waiting) >= _CLIPS_BETWEEN_WRITES):
            self.write()

    def write(self) -> None:
        """Writes what waits."""
        if self._waiting:
            self._index.add(self._waiting)
            for video, _ in self._waiting:
                if video.path not in self._added:
                    self._added.add(video.path)
                    self.report.added.append(video.path)
            self.report.clips += len(self._waiting)
            self._waiting.clear()
        self._last_write = time.monotonic()

    def finish(self) -> None:
        """Writes what waits, removes what was replaced, and sets the metadata of what was there before."""
        self.write()
        self._remove_replaced()
        self._describe()

    def _remove_replaced(self) -> None:
        """Removes what the index still has of files that hold other content, or are cut otherwise, by now."""
        replaced = [video.id for video in self._index.videos if self._is_replaced(video)]
        if replaced:
            self.report.replaced = self._index.remove(replaced)

    def _describe(self) -> None:
        """Sets the metadata of what was in the index before."""
        columns = list(dict.fromkeys(name for values in self._metadata.values() for name in values))
        changed = [
            video
            for video in self._index.videos
            if video.path in self._metadata
            and any(video.metadata.get(name) != self._metadata[video.path].get(name) for name in columns)
        ]
        self._index.set_metadata(
            {video.id: {name: self._metadata[video.path].get(name) for name in columns} for video in changed}
        )
        self.report.described = list(dict.fromkeys(video.path for video in changed))

    def sort_report(self, paths: Sequence[str]) -> None:
        """Puts the report into the order of the files, whatever the order they were done in."""
        place = {path: number for number, path in enumerate(paths)}
        report = self.report
        for names in (report.added, report.present, report.moved, report.duplicates, report.described):
            names.sort(key=place.__getitem__)
        report.bad = [clip.video for clip in sorted(self._bad, key=lambda clip: place[clip.path])]

    def _is_replaced(self, video: IndexedVideo) -> bool:
        if video.path in self._bad_paths:
            return False
        if video.path in self._digests and video.digest != self._digests[video.path]:
            return True
        planned = self._files.get(video.path)
        return planned is not None and (
            video.digest != planned.digest or (video.start, video.end) not in planned.windows
        )

    def _one_less(self, path: str) -> int:
        file = self._files[path]
        file.remaining -= 1
        return 0 if file.remaining else 1
