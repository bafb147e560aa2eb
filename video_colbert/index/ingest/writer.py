"""The writer of an index: what was encoded goes in by a commit now and then, beside the encoding of more."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.index.indexed_video import FileFacts, IndexedVideo, MetadataValue
from video_colbert.index.ingest.events import (
    Bad,
    Encoded,
    FileContent,
    IngestEvent,
    KnownBad,
    Moved,
    Renewed,
    StaysBad,
)
from video_colbert.index.video_index import VideoIndex

# Each write makes a version of the table. A killed run loses at most the work since the last one.
SECONDS_BETWEEN_WRITES = 10.0
_CLIPS_BETWEEN_WRITES = 2048


class IndexWriter:
    """Follows the events of a run and brings an index up to date.

    Commits run in a thread of their own, one at a time; while one runs, at most as many videos wait for the next as
    one commit takes.

    Args:
        index: where they go.
        metadata: values by column, by path.
        seconds_between_writes: how long encoded videos may wait to be written.

    Attributes:
        number_formats: what the videos of the run were encoded in.
        renewed: digests of stored contents whose tokens were replaced.
    """

    def __init__(
        self,
        index: VideoIndex,
        metadata: Mapping[str, Mapping[str, MetadataValue]],
        seconds_between_writes: float = SECONDS_BETWEEN_WRITES,
    ) -> None:
        self._index = index
        self._metadata = metadata
        self._seconds_between_writes = seconds_between_writes
        self._last_write = time.monotonic()
        self._moved: dict[str, str] = {}
        self._encoded: list[tuple[IndexedVideo, EncodedVideo]] = []
        self._contents: dict[str, FileContent] = {}
        self.number_formats: set[str] = set()
        self.renewed: set[str] = set()
        self._renewed: list[tuple[IndexedVideo, EncodedVideo]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index writer")
        self._commit: Future[None] | None = None

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown()

    def take(self, event: IngestEvent) -> None:
        """Takes an event, and begins to write if enough waits.

        Raises:
            IndexStoreError: what was given before cannot be written.
        """
        if isinstance(event, Bad | KnownBad | StaysBad):
            return
        self._contents[event.file.path] = event.file
        if isinstance(event, Moved):
            self._moved.update(dict.fromkeys(event.ids, event.file.path))
        elif isinstance(event, Encoded | Renewed):
            kept = self._encoded if isinstance(event, Encoded) else self._renewed
            kept.append((self._record(event), event.video))
            if event.video.number_format is not None:
                self.number_formats.add(event.video.number_format)
        is_full = len(self._encoded) + len(self._renewed) >= _CLIPS_BETWEEN_WRITES
        is_due = time.monotonic() - self._last_write > self._seconds_between_writes
        if is_full or (is_due and (self._commit is None or self._commit.done())):
            self._begin_commit()

    def flush(self) -> None:
        """Writes what waits.

        Raises:
            IndexStoreError: it cannot be written.
        """
        self._begin_commit()
        self._end_commit()

    def finish(self) -> tuple[list[str], int]:
        """Writes what waits, removes what was replaced, and sets the metadata of what was there before.

        Returns:
            The files whose metadata was set, and how many videos and windows were removed.

        Raises:
            IndexStoreError: the index cannot be written.
        """
        self.flush()
        replaced = [video.id for video in self._index.videos if self._is_replaced(video)]
        num_replaced = self._index.remove(replaced) if replaced else 0
        # A store may have to read all of them: once is enough.
        videos = self._index.videos
        self._record_copies(videos)
        self._record_facts(videos)
        return self._describe(videos), num_replaced

    def _record(self, event: Encoded | Renewed) -> IndexedVideo:
        width, height = event.video.frame_size or (None, None)
        return IndexedVideo(
            path=event.file.path,
            digest=event.file.digest,
            duration=event.video.duration,
            timestamps=tuple(event.video.timestamps.tolist()),
            start=event.video.clip.start,
            end=event.video.clip.end,
            metadata=self._metadata.get(event.file.path, {}),
            facts=event.file.facts.updated(FileFacts(width=width, height=height)),
        )

    def _begin_commit(self) -> None:
        self._end_commit()
        moved, encoded, renewed = self._moved, self._encoded, self._renewed
        self._moved, self._encoded, self._renewed = {}, [], []
        if moved or encoded or renewed:
            self._commit = self._thread.submit(_write, self._index, moved, encoded, renewed)
            self.renewed |= {video.digest for video, _ in renewed}
        self._last_write = time.monotonic()

    def _end_commit(self) -> None:
        """Waits for the commit that runs; its error is raised here, once."""
        if self._commit is not None:
            commit, self._commit = self._commit, None
            commit.result()

    def _is_replaced(self, video: IndexedVideo) -> bool:
        """Whether the file of a video holds other content, or is cut otherwise, by now."""
        content = self._contents.get(video.path)
        # Of a file of which nothing can be used, what is stored stays.
        if content is None:
            return False
        return video.digest != content.digest or (video.start, video.end) not in content.windows

    def _record_copies(self, videos: Sequence[IndexedVideo]) -> None:
        """Keeps with each content which other files were found to hold it, so that one of them can stand for it."""
        further: dict[str, list[str]] = {}
        for content in self._contents.values():
            further.setdefault(content.digest, []).append(content.path)
        copies: dict[str, list[str]] = {}
        for video in videos:
            known = [path for path in video.copies if self._holds(path, video.digest)]
            paths = [path for path in dict.fromkeys((*known, *further.get(video.digest, ()))) if path != video.path]
            if paths != list(video.copies):
                copies[video.id] = paths
        self._index.set_copies(copies)

    def _record_facts(self, videos: Sequence[IndexedVideo]) -> None:
        """Keeps what was seen of files that are in the index: their time may be another one now."""
        changed: dict[str, FileFacts] = {}
        for video in videos:
            content = self._contents.get(video.path)
            if content is not None and content.digest == video.digest:
                seen = video.facts.updated(content.facts)
                if seen != video.facts:
                    changed[video.id] = seen
        if changed:
            self._index.set_facts(changed)

    def _holds(self, path: str, digest: str) -> bool:
        """Whether a file still has a content, as far as this run knows."""
        content = self._contents.get(path)
        return content is None or content.digest == digest

    def _describe(self, videos: Sequence[IndexedVideo]) -> list[str]:
        """Sets the metadata of what was in the index before; returns the files that had other values."""
        columns = list(dict.fromkeys(name for values in self._metadata.values() for name in values))
        changed = [
            video
            for video in videos
            if video.path in self._metadata
            and any(video.metadata.get(name) != self._metadata[video.path].get(name) for name in columns)
        ]
        self._index.set_metadata(
            {video.id: {name: self._metadata[video.path].get(name) for name in columns} for video in changed}
        )
        return list(dict.fromkeys(video.path for video in changed))


def _write(
    index: VideoIndex,
    moved: Mapping[str, str],
    encoded: Sequence[tuple[IndexedVideo, EncodedVideo]],
    renewed: Sequence[tuple[IndexedVideo, EncodedVideo]],
) -> None:
    # What moved first: a new content at its old path takes the place of what is stored there.
    if moved:
        index.move(moved)
    if encoded:
        index.add(encoded)
    if renewed:
        index.add(renewed, renews=True)
