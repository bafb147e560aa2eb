"""Texts of videos for a model that encodes them with the pictures: read first, and encoded again if they change."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from video_colbert.encoding.encoding_plan import DEFAULT_TIMEOUT_SECONDS
from video_colbert.encoding.media_files import is_remote, public_name, read_state
from video_colbert.index.indexed_video import FileFacts, IndexedVideo, MetadataValue
from video_colbert.index.ingest.reading import ReadingPlace, read_passages
from video_colbert.index.ingest.reading_tasks.reading_job import ReadTasks
from video_colbert.index.ingest.reading_tasks.reading_process import FileState
from video_colbert.index.ingest.report import IndexingReport
from video_colbert.index.passages.reading_store import Reading
from video_colbert.index.video_index import VideoIndex
from video_colbert.index.windows import Window
from video_colbert.text.passages import Passage, PassageReader, Source

# A level of the model, and the sources that it takes, the first that there is of a video: subtitles are speech that
# somebody has checked.
_SOURCES_OF: Mapping[str, tuple[Source, ...]] = {
    "speech": ("subtitles", "speech"),
    "screen_text": ("screen_text",),
    "description": ("description",),
}
# Disks give no more to more readers.
_FILES_AT_ONCE = 4


class _Readings(Protocol):
    def read(self, digests: Collection[str] | None = None) -> Iterable[Reading]: ...


class ContextualTexts:
    """What was read of each content, as texts by level of the model.

    Args:
        readings: where it is kept.
        levels: the model's levels of texts; without any, no content has a text.
        due: digests of stored contents whose texts may be others than those that they were encoded with.
    """

    def __init__(self, readings: _Readings | None, levels: Sequence[str], due: Collection[str] = ()) -> None:
        self._readings = readings
        self._sources = {level: _SOURCES_OF[level] for level in levels}
        self.due = frozenset(due)

    def of_window(self, digest: str, window: Window) -> dict[str, str]:
        """The texts of a content, by level; those of a window are the passages that are partly or wholly in it.

        Args:
            digest: of the content.
            window: its start and end in seconds; (None, None) for the whole.

        Raises:
            IndexStoreError: what was read cannot be read back.
        """
        if self._readings is None or not self._sources:
            return {}
        found = {reading.source: reading.passages for reading in self._readings.read([digest])}
        texts = {}
        for level, sources in self._sources.items():
            passages = next((found[source] for source in sources if found.get(source)), ())
            if said := [passage.text for passage in passages if _is_in(passage, window)]:
                texts[level] = " ".join(said)
        return texts

    @property
    def levels(self) -> list[str]:
        """The levels of the model that are texts."""
        return list(self._sources)

    def takes(self, source: Source) -> bool:
        """Whether the model has a level for a source."""
        return any(source in sources for sources in self._sources.values())

    def held(self, contents: Collection[str]) -> ContextualTexts:
        """The same of some contents with what was read of them in memory, to travel to other machines.

        Raises:
            IndexStoreError: what was read cannot be read back.
        """
        if self._readings is None or not self._sources:
            return self
        return ContextualTexts(_HeldReadings(self._readings.read(contents)), self.levels, self.due)


class _HeldReadings:
    """Readings in memory."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._of_contents: dict[str, list[Reading]] = {}
        for reading in readings:
            self._of_contents.setdefault(reading.digest, []).append(reading)

    def read(self, digests: Collection[str] | None = None) -> Iterable[Reading]:
        """As `ReadingStore.read`."""
        wanted = self._of_contents if digests is None else digests
        return [reading for digest in wanted for reading in self._of_contents.get(digest, ())]


NO_TEXTS = ContextualTexts(None, ())
"""Those of a model that encodes pictures alone."""


def texts_of_index(index: VideoIndex, levels: Callable[[], Collection[str]]) -> ContextualTexts:
    """The texts that an index's videos are encoded with.

    Args:
        index: the index.
        levels: those of its model, asked where the index holds no video that tells.

    Raises:
        IndexStoreError: the index cannot be read.
    """
    known = index.levels or levels()
    of_texts = [level for level in _SOURCES_OF if level in known]
    if not of_texts:
        return NO_TEXTS
    return ContextualTexts(index.readings, of_texts, index.notes.texts_due)


def read_before_encoding(
    index: VideoIndex,
    texts: ContextualTexts,
    readers: Sequence[PassageReader],
    files: Sequence[str | os.PathLike[str]],
    *,
    metadata: Mapping[str, Mapping[str, MetadataValue]],
    description_column: str | None = None,
    workers: int | None = None,
    read: ReadTasks | None = None,
    retry_bad: bool = False,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
) -> tuple[IndexingReport, ContextualTexts]:
    """Reads passages of files before their pictures are encoded, as `read_passages` does of those that are stored.

    Contents that are stored and are read anew are noted in the index first, as due to be encoded again, so that a run
    that is killed in between is made good by the next one.

    Args:
        index: the index.
        texts: those of its videos so far.
        readers: at most one a source.
        files: absolute paths, or URLs.
        metadata: by path, values that the files get in this run.
        description_column: as of `read_passages`, and so on.
        workers: likewise.
        read: likewise.
        retry_bad: likewise.
        timeout: likewise.

    Returns:
        What was read, and the texts with what is due.

    Raises:
        VideoColBERTError: as `read_passages`.
    """
    videos = _videos_of(index, files, metadata, retry_bad)
    stored = {video.digest for video in index.videos}

    def note_due(tasks: Iterable[tuple[str, Source]]) -> None:
        changing = {digest for digest, source in tasks if digest in stored and texts.takes(source)}
        note_texts_due(index, changing | texts.due)

    place = ReadingPlace(videos, note_due)
    report = read_passages(
        index,
        readers,
        files,
        place=place,
        description_column=description_column,
        workers=workers,
        read=read,
        retry_bad=retry_bad,
        timeout=timeout,
    )
    return report, texts_of_index(index, lambda: texts.levels)


def note_texts_due(index: VideoIndex, due: Collection[str]) -> None:
    """Notes which stored contents are to be encoded again with their texts.

    Raises:
        IndexStoreError: the index cannot be written.
    """
    noted = index.notes
    if set(noted.texts_due) != set(due):
        index.set_notes(replace(noted, texts_due=tuple(sorted(due))))


def _videos_of(
    index: VideoIndex,
    files: Sequence[str | os.PathLike[str]],
    metadata: Mapping[str, Mapping[str, MetadataValue]],
    retry_bad: bool,
) -> list[IndexedVideo]:
    """What the index holds of files that are as they were, and a record without frames for all others.

    Files that cannot be read, and those of which no picture can be decoded, are left to the encoding to report.
    """
    known_bad = set() if retry_bad else {bad.digest for bad in index.notes.bad_files if not bad.windows}
    by_path: dict[str, IndexedVideo] = {}
    for video in index.videos:
        by_path.setdefault(video.path, video)
    given = list(dict.fromkeys(public_name(os.fspath(file)) for file in files))
    with ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
        found = threads.map(lambda path: _video_of(path, by_path.get(path)), given)
        videos = [video for video in found if video is not None and video.digest not in known_bad]
    return [replace(video, metadata={**video.metadata, **metadata.get(video.path, {})}) for video in videos]


def _video_of(path: str, stored: IndexedVideo | None) -> IndexedVideo | None:
    if is_remote(path):
        # It is said of it that it is not read.
        return stored or IndexedVideo(path, path, 0.0, ())
    try:
        status = Path(path).stat()
        is_same = stored is not None and FileState(status.st_size, status.st_mtime).fits(
            FileState(stored.facts.size, stored.facts.modified)
        )
        if is_same:
            return stored
        state = read_state(path, path)
        return IndexedVideo(path, state.digest, _seconds(path), (), facts=FileFacts(state.size, state.modified))
    except OSError:
        return None


def _seconds(path: str) -> float:
    """How long a file says that it lasts; 0 where it does not."""
    import av

    from video_colbert.processing.video_containers import decoding_errors, open_container
    from video_colbert.processing.video_sources import VideoDecodingError

    try:
        with decoding_errors(path), open_container(path, path) as container:
            return (container.duration or 0) / av.time_base
    except VideoDecodingError:
        return 0.0


def _is_in(passage: Passage, window: Window) -> bool:
    start, end = window
    if passage.start is None or passage.end is None:
        return True
    return (end is None or passage.start < end) and (start is None or passage.end > start)
