"""Files into an index: what is new is encoded, what is there is left, what is bad is reported."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from video_colbert.bulk_encoding import DEFAULT_TIMEOUT_SECONDS, BulkEncoder
from video_colbert.encoded import BadVideo, EncodedVideo
from video_colbert.encoding import VideoColBERTEncoder
from video_colbert.errors import IndexStoreError
from video_colbert.index.index_files import IndexedVideo, MetadataValue
from video_colbert.index.indexing_plan import (
    BadClip,
    DuplicateFile,
    IndexingPlan,
    MovedFile,
    PresentFile,
    StoredFiles,
)
from video_colbert.index.store import VideoIndex
from video_colbert.index.windows import WindowSettings

# Each write makes a version of the table. A killed run loses at most the work since the last one.
_SECONDS_BETWEEN_WRITES = 30.0
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


def index_videos(
    index: VideoIndex,
    encoder: VideoColBERTEncoder | Sequence[VideoColBERTEncoder],
    files: Sequence[str | os.PathLike[str]],
    *,
    batch_size: int = 8,
    num_frames: int | None = None,
    workers: int | None = None,
    windows: WindowSettings | None = None,
    metadata: Mapping[str, Mapping[str, MetadataValue]] | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    seconds_between_writes: float = _SECONDS_BETWEEN_WRITES,
) -> IndexingReport:
    """Adds files to an index.

    Files are told apart by content, so running again on a folder encodes only what is new or changed. What was
    encoded is written from time to time, and when the run is interrupted. Decoding runs in processes, so a script
    calls this under `if __name__ == "__main__":`.

    Args:
        index: an index made with the encoder's model.
        encoder: what encodes; one for each device, where there are several.
        files: absolute paths, or URLs.
        batch_size: clips that go through the model together, at most.
        num_frames: frames sampled from each clip; the index's own number by default.
        workers: decoding processes; by default one for each core.
        windows: how long videos are cut; None to index each as a whole.
        metadata: by file, values by column for searches to filter by; also set where a file is in the index
            already, and there a column of which it has no value is emptied. Other files' metadata is left.
        timeout: seconds after which a file that is read or decoded is given up and reported as bad.
        seconds_between_writes: how long encoded videos may wait to be written.

    Raises:
        IndexStoreError: the index samples another number of frames, cannot take the metadata, or cannot be
            written.
        EncodingError: more frames than the model has positions for, vectors that are not finite, or no decoding
            process can be started.
        ValueError: a number that is out of range.
    """
    num_frames = index.num_frames if num_frames is None else num_frames
    if num_frames != index.num_frames:
        raise IndexStoreError(
            f"the index in {index.location} samples {index.num_frames} frames a video, not {num_frames}; use that "
            "number or another index folder"
        )
    metadata = metadata or {}
    index.check_metadata(metadata.values())
    encoders = [encoder] if isinstance(encoder, VideoColBERTEncoder) else list(encoder)
    paths = list(dict.fromkeys(os.fspath(file) for file in files))
    with BulkEncoder(
        encoders, batch_size=batch_size, num_frames=num_frames, processes=workers, timeout=timeout
    ) as bulk:
        plan = IndexingPlan(paths, StoredFiles(index.videos), windows, bulk.emit, files_ahead=bulk.clips_held)
        run = _IndexingRun(index, plan, metadata, seconds_between_writes)
        bulk.start(plan)
        try:
            with tqdm(total=len(paths), desc="indexing", unit="file", disable=None) as progress:
                for result in bulk.results():
                    progress.update(run.take(result))
                    run.write_if_due()
            run.write()
            run.remove_replaced()
            run.describe()
        except BaseException:
            # On Ctrl-C and on errors too: what was encoded is kept.
            for result in bulk.stop():
                run.take(result)
            run.write()
            raise
    run.sort_report(paths)
    return run.report


class _IndexingRun:
    """Takes results as they come, writes them to the index and keeps count."""

    def __init__(
        self,
        index: VideoIndex,
        plan: IndexingPlan,
        metadata: Mapping[str, Mapping[str, MetadataValue]],
        seconds_between_writes: float,
    ) -> None:
        self.report = IndexingReport()
        self._index = index
        self._plan = plan
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
                self._plan.files[path].digest,
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
            return 0 if self._plan.files[result.path].remaining else 1
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

    def remove_replaced(self) -> None:
        """Removes what the index still has of files that hold other content, or are cut otherwise, by now."""
        replaced = [video.id for video in self._index.videos if self._is_replaced(video)]
        if replaced:
            self.report.replaced = self._index.remove(replaced)

    def describe(self) -> None:
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
        if video.path in self._plan.digests and video.digest != self._plan.digests[video.path]:
            return True
        planned = self._plan.files.get(video.path)
        return planned is not None and (
            video.digest != planned.digest or (video.start, video.end) not in planned.windows
        )

    def _one_less(self, path: str) -> int:
        file = self._plan.files[path]
        file.remaining -= 1
        return 0 if file.remaining else 1


def prune_videos(index: VideoIndex, folders: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Removes from an index the files that are gone.

    Args:
        index: the index.
        folders: only files that were under one of them are looked at.

    Returns:
        The paths that were removed.

    Raises:
        FileNotFoundError: a folder itself is gone, as when a disk is not mounted.
        IndexStoreError: the index cannot be written.
    """
    roots = [Path(os.path.abspath(folder)) for folder in folders]
    for root in roots:
        if not root.exists():
            raise FileNotFoundError(f"there is no folder {root}; nothing of it is removed from the index")
    gone: dict[str, list[str]] = {}
    for video in index.videos:
        path = Path(video.path)
        if any(path.is_relative_to(root) for root in roots) and not os.path.lexists(path):
            gone.setdefault(video.path, []).append(video.id)
    index.remove([video_id for ids in gone.values() for video_id in ids])
    return list(gone)
