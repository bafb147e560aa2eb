"""Files into an index: what is new is encoded, what is there is left, what is bad is reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.encoding_plan import DEFAULT_TIMEOUT_SECONDS
from video_colbert.encoding.media_files import public_name
from video_colbert.errors import IndexStoreError
from video_colbert.index.indexed_video import IndexedVideo, MetadataValue
from video_colbert.index.ingest.bad_memory import BadMemory
from video_colbert.index.ingest.contextual_texts import NO_TEXTS, ContextualTexts
from video_colbert.index.ingest.events import IngestEvent
from video_colbert.index.ingest.known_files import read_known_files
from video_colbert.index.ingest.plan import IngestPlan
from video_colbert.index.ingest.pruning import absolute_folders, find_gone
from video_colbert.index.ingest.report import IndexingReport, ReportBuilder
from video_colbert.index.ingest.stored_content import stored_contents
from video_colbert.index.ingest.writer import SECONDS_BETWEEN_WRITES, IndexWriter
from video_colbert.index.search.interaction import check_interaction
from video_colbert.index.video_index import VideoIndex
from video_colbert.progress import RunProgress

if TYPE_CHECKING:
    from video_colbert.encoding.bulk_encoder import BulkEncoder

Encoders: TypeAlias = VideoColBERTEncoder | Sequence[VideoColBERTEncoder] | Callable[[], Sequence[VideoColBERTEncoder]]
"""What encodes; one for each device, where there are several; or what loads them."""


def index_videos(
    index: VideoIndex,
    encoder: Encoders,
    files: Sequence[str | os.PathLike[str]],
    *,
    batch_size: int = 8,
    workers: int | None = None,
    metadata: Mapping[str, Mapping[str, MetadataValue]] | None = None,
    folders: Sequence[str | os.PathLike[str]] = (),
    retry_bad: bool = False,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    seconds_between_writes: float = SECONDS_BETWEEN_WRITES,
    texts: ContextualTexts = NO_TEXTS,
) -> IndexingReport:
    """Adds files to an index.

    Files are told apart by content, so running again on a folder encodes only what is new or changed. What was
    encoded is written from time to time, and when the run is interrupted. The index says how videos are cut and how
    many frames are sampled. Contents that do not decode are noted in it and not tried again, unless that may come of
    the machine or of settings rather than of their bytes.

    Args:
        index: an index made with the encoder's model.
        encoder: what encodes; one for each device, where there are several. Or a function that loads them, which is
            called where something has to be encoded or decoded.
        files: absolute paths, or URLs. Of a signed URL the index keeps neither user nor signature.
        batch_size: clips that go through the model together, at most.
        workers: decoding processes; by default one for each core.
        metadata: by file, values by column for searches to filter by; also set where a file is in the index
            already, and there a column of which it has no value is emptied. Other files' metadata is left.
        folders: where the files were looked for; the index notes them, and the report names what is gone from them.
        retry_bad: whether to try again what an earlier run found bad.
        timeout: seconds after which a file that is read or decoded is given up and reported as bad.
        seconds_between_writes: how long encoded videos may wait to be written.
        texts: what contents are encoded with beside their pictures, as of `texts_of_index`.

    Raises:
        IndexStoreError: the index cannot take the metadata, cannot be written, cannot score as the encoder's model
            does, or holds windows without saying how they are cut.
        EncodingError: more frames than the model has positions for.
        WorkerError: no decoding process can be started.
        ValueError: a number that is out of range.

    Example:
        >>> from video_colbert.index import LanceIndex
        >>> index = LanceIndex.create("my_index", model=encoder.reference, num_frames=encoder.num_frames)
        >>> index_videos(index, encoder, ["a.mp4", "b.mp4"])
        2 added
    """
    _check_numbers(batch_size, workers, timeout)
    if not callable(encoder):
        _check_encoders(index, _loaded(encoder))
    metadata = {public_name(path): values for path, values in (metadata or {}).items()}
    index.check_metadata(metadata.values())
    paths = [os.fspath(file) for file in files]
    names = list(dict.fromkeys(map(public_name, paths)))
    memory = BadMemory(index.notes.bad_files)
    known_bad = {} if retry_bad else memory.files
    stored = stored_contents(check_cut(index))
    plan = IngestPlan(paths, stored, index.windows, known_bad, texts)
    known = {path for content in stored.values() for path in (content.path, *content.copies)}
    known |= {file.path for file in known_bad.values()}
    report = ReportBuilder()

    def start_bulk_encoder() -> BulkEncoder:
        from video_colbert.encoding.bulk_encoder import BulkEncoder

        encoders = _loaded(encoder)
        _check_encoders(index, encoders)
        return BulkEncoder(
            encoders, batch_size=batch_size, num_frames=index.num_frames, workers=workers, timeout=timeout
        )

    with (
        _Work(plan, lambda: read_known_files(plan, known, timeout), start_bulk_encoder) as work,
        IndexWriter(index, metadata, seconds_between_writes) as writer,
    ):
        try:
            with RunProgress("indexing", len(names)) as progress:
                for event in work.events():
                    writer.take(event)
                    report.take(event)
                    memory.take(event)
                    progress.update(plan.work_done, _how_far(plan, len(names)))
        except BaseException:
            # On Ctrl-C and on errors too: what was encoded is kept.
            for event in work.stop():
                writer.take(event)
                memory.take(event)
            writer.flush()
            note_run(index, folders, memory, writer)
            raise
        described, replaced = writer.finish()
    note_run(index, folders, memory, writer)
    gone = find_gone(index, folders, present=names)
    return report.finish(names, described=described, replaced=replaced, gone=gone)


class _Work:
    """A plan in work: what the index knows first, in this process, and the rest, if there is any, by a bulk encoder.

    Args:
        plan: what is to be done.
        read_known: begins it.
        start_bulk_encoder: starts what does the rest.
    """

    def __init__(
        self,
        plan: IngestPlan,
        read_known: Callable[[], Iterator[IngestEvent]],
        start_bulk_encoder: Callable[[], BulkEncoder],
    ) -> None:
        self._plan = plan
        self._read_known = read_known
        self._start = start_bulk_encoder
        self._bulk: BulkEncoder | None = None

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bulk is not None:
            self._bulk.__exit__(*exception)

    def events(self) -> Iterator[IngestEvent]:
        """Works through the plan and yields its events."""
        yield from self._read_known()
        if self._plan.has_given_back:
            self._bulk = self._start().__enter__()
            yield from self._bulk.run(self._plan)

    def stop(self) -> Iterator[IngestEvent]:
        """Ends it early; yields the events of what was encoded by then."""
        if self._bulk is not None:
            yield from self._bulk.stop(self._plan)


def _loaded(encoder: Encoders) -> list[VideoColBERTEncoder]:
    if isinstance(encoder, VideoColBERTEncoder):
        return [encoder]
    return list(encoder() if callable(encoder) else encoder)


def _check_encoders(index: VideoIndex, encoders: Iterable[VideoColBERTEncoder]) -> None:
    for encoder in encoders:
        check_interaction(encoder.model.config.interaction, index.interactions, f"the index in {index.location}")


def _check_numbers(batch_size: int, workers: int | None, timeout: float) -> None:
    for name, number in (("batch_size", batch_size), ("workers", workers)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if not timeout > 0:
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout}")


def _how_far(plan: IngestPlan, files: int) -> str:
    windows = f", {plan.windows_done}/{plan.windows_begun} windows" if plan.windows_begun else ""
    return f"{plan.files_done}/{files} files{windows}"


def note_run(
    index: VideoIndex, folders: Iterable[str | os.PathLike[str]], memory: BadMemory, writer: IndexWriter
) -> None:
    """Notes in an index what folders were indexed, which contents turned out to be bad, and how others were written.

    Raises:
        IndexStoreError: the index cannot be written.
    """
    noted = index.notes
    notes = noted.with_folders(map(str, absolute_folders(folders)))
    notes = replace(
        notes.with_number_formats(sorted(writer.number_formats)),
        bad_files=memory.remaining(noted.bad_files),
        texts_due=tuple(digest for digest in noted.texts_due if digest not in writer.renewed),
    )
    if notes != noted:
        index.set_notes(notes)


def check_cut(index: VideoIndex) -> tuple[IndexedVideo, ...]:
    """What an index holds, once it is known that windows are only there where it says how they are cut.

    Raises:
        IndexStoreError: there are windows in an index that is of whole videos, whose place whole videos would take.
    """
    videos = index.videos
    if index.windows is None and any(video.start is not None or video.end is not None for video in videos):
        raise IndexStoreError(
            f"the index in {index.location} holds windows of videos but does not say how they are cut; index the "
            "videos again into another one, which is made with the windows"
        )
    return videos
