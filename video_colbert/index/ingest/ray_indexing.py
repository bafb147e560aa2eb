"""The same encoding on the machines of a Ray cluster: files go out to encoders, one process writes the index.

Ray may run a piece of work twice, when a machine or a process is lost. Nothing but the driver writes, and adding what
is there already changes nothing, so each video is stored once.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from video_colbert.encoding.bulk_encoder import BulkEncoder
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.encoding_plan import DEFAULT_TIMEOUT_SECONDS
from video_colbert.encoding.media_files import public_name
from video_colbert.encoding.passes.number_formats import Backend, DType
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import ModelMismatchError
from video_colbert.index.index_notes import BadFile
from video_colbert.index.indexed_video import MetadataValue
from video_colbert.index.ingest.bad_memory import BadMemory
from video_colbert.index.ingest.contextual_texts import NO_TEXTS, ContextualTexts
from video_colbert.index.ingest.events import Duplicate, Encoded, FileContent, IngestEvent, Renewed
from video_colbert.index.ingest.indexing import check_cut, note_run
from video_colbert.index.ingest.plan import IngestPlan
from video_colbert.index.ingest.pruning import find_gone
from video_colbert.index.ingest.ray_cluster import connect, share_cluster
from video_colbert.index.ingest.report import IndexingReport, ReportBuilder
from video_colbert.index.ingest.stored_content import StoredContent, stored_contents
from video_colbert.index.ingest.writer import SECONDS_BETWEEN_WRITES, IndexWriter
from video_colbert.index.video_index import VideoIndex
from video_colbert.index.windows import WindowSettings
from video_colbert.progress import RunProgress

# Files that are done again when their encoder is lost.
_FILES_AT_A_TIME = 32


@dataclass(frozen=True)
class RayEncoders:
    """The encoders of a cluster.

    Attributes:
        model: Hub id, or a folder that every machine has.
        revision: branch, tag or commit on the Hub.
        dtype: number format, as of `load_pretrained`; `auto` is chosen on each machine.
        backend: what encodes, likewise.
        encoders: how many; by default one for each GPU, or for each machine of a cluster without any.
        workers: decoding processes of each encoder, for which it reserves as many cores; by default what each
            encoder of a machine can have.
        batch_size: clips that go through a model together, at most.
        timeout: seconds after which a file that is read or decoded is given up.
    """

    model: str
    revision: str | None = None
    dtype: DType = "float32"
    backend: Backend = "torch"
    encoders: int | None = None
    workers: int | None = None
    batch_size: int = 8
    timeout: float = DEFAULT_TIMEOUT_SECONDS


def index_videos_on_ray(
    index: VideoIndex,
    encoders: RayEncoders,
    files: Sequence[str],
    *,
    address: str | None = None,
    metadata: Mapping[str, Mapping[str, MetadataValue]] | None = None,
    folders: Sequence[str] = (),
    retry_bad: bool = False,
    files_at_a_time: int = _FILES_AT_A_TIME,
    seconds_between_writes: float = SECONDS_BETWEEN_WRITES,
    texts: ContextualTexts = NO_TEXTS,
) -> IndexingReport:
    """Adds files to an index, as `index_videos` does, with the encoders of a Ray cluster.

    A file whose content is in the index is left, so running again continues. This process collects what the encoders
    make and writes it.

    Args:
        index: an index made with the model.
        encoders: what encodes.
        files: URLs, or paths that mean the same file on every machine.
        address: of the cluster, such as "auto"; None to use the connection there is, or to start Ray here.
        metadata: as of `index_videos`.
        folders: likewise.
        retry_bad: likewise.
        files_at_a_time: files that an encoder gets at once.
        seconds_between_writes: how long encoded videos may wait to be written.
        texts: as of `index_videos`.

    Raises:
        MissingExtraError: Ray is not installed.
        ModelMismatchError: a machine has another model under this name than the one that made the index.
        IndexStoreError: the index cannot take the metadata, or cannot be written.
        ConnectionError: there is no cluster at this address.
    """
    connect(address)
    import ray

    metadata = {public_name(path): values for path, values in (metadata or {}).items()}
    index.check_metadata(metadata.values())
    paths = list({public_name(file): file for file in files}.values())
    share = share_cluster(encoders.encoders, encoders.workers)
    encoders = dataclasses.replace(encoders, encoders=share.parts, workers=share.cores)
    memory = BadMemory(index.notes.bad_files)
    stored, known_bad = stored_contents(check_cut(index)), {} if retry_bad else dict(memory.files)
    if texts is not NO_TEXTS:
        texts = texts.held({digest for digest, _ in index.readings.known()} - (set(stored) - texts.due))
    job = _Job(encoders, index.model, index.num_frames, index.windows, stored, known_bad, texts)
    encoded = ray.data.from_items(
        [{"path": path} for path in paths], override_num_blocks=max(-(-len(paths) // files_at_a_time), 1)
    ).map_batches(
        _RayEncoder,
        fn_constructor_args=(ray.put(job),),
        batch_size=files_at_a_time,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=share.parts),
        num_cpus=share.cores,
        num_gpus=share.gpus,
    )
    report, owners = ReportBuilder(), dict[str, str]()
    with (
        IndexWriter(index, metadata, seconds_between_writes) as writer,
        RunProgress("indexing", len(paths)) as progress,
    ):
        files_done = windows_done = 0
        try:
            for row in encoded.iter_rows():
                # Made by our own code in a process of this cluster.
                for event in pickle.loads(row["events"]):  # noqa: S301
                    kept = _once_in_the_cluster(event, owners)
                    writer.take(kept)
                    report.take(kept)
                    memory.take(kept)
                    windows_done += isinstance(kept, Encoded) and kept.video.clip.start is not None
                files_done += row["files_done"]
                windows = f", {windows_done} windows" if windows_done else ""
                progress.update(files_done, f"{files_done}/{len(paths)} files{windows}")
        except BaseException:
            writer.flush()
            note_run(index, folders, memory, writer)
            raise
        described, replaced = writer.finish()
    note_run(index, folders, memory, writer)
    gone = find_gone(index, folders, present=map(public_name, paths))
    return report.finish(list(map(public_name, paths)), described=described, replaced=replaced, gone=gone)


@dataclass(frozen=True)
class _Job:
    """What an encoder needs to know, sent to each machine once."""

    encoders: RayEncoders
    reference: ModelReference
    num_frames: int | None
    windows: WindowSettings | None
    stored: dict[str, StoredContent]
    known_bad: dict[str, BadFile]
    texts: ContextualTexts


class _RayEncoder:
    """An encoder with its decoding processes in a process of the cluster."""

    def __init__(self, job: Any) -> None:
        import ray

        self._job: _Job = ray.get(job)
        settings = self._job.encoders
        encoder = VideoColBERTEncoder.from_pretrained(
            settings.model, revision=settings.revision, dtype=settings.dtype, backend=settings.backend
        )
        if encoder.reference.revision != self._job.reference.revision:
            raise ModelMismatchError(
                f"a machine of the cluster has {encoder.reference} where the index was made with {self._job.reference}"
            )
        self._bulk = BulkEncoder(
            [encoder],
            batch_size=settings.batch_size,
            num_frames=self._job.num_frames,
            workers=settings.workers,
            timeout=settings.timeout,
        )

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Encodes the files of column `path`."""
        paths = batch["path"].to_pylist()
        job = self._job
        plan = IngestPlan(paths, job.stored, job.windows, job.known_bad, job.texts)
        events = [_halved(event) for event in self._bulk.run(plan)]
        return pa.table(
            {"events": pa.array([pickle.dumps(events)], pa.large_binary()), "files_done": pa.array([plan.files_done])}
        )


def _halved(event: IngestEvent) -> IngestEvent:
    """In the 16 bits a value that an index stores, for half the traffic."""
    if not isinstance(event, Encoded | Renewed):
        return event
    halves = {level: tokens.half() for level, tokens in event.video.embeds.items()}
    return dataclasses.replace(event, video=dataclasses.replace(event.video, embeds=halves))


def _once_in_the_cluster(event: IngestEvent, owners: dict[str, str]) -> IngestEvent:
    """An event as it is; a duplicate where another file of the same content was encoded elsewhere in the cluster."""
    if isinstance(event, Encoded):
        owner = owners.setdefault(event.file.digest, event.file.path)
        if owner != event.file.path:
            return Duplicate(FileContent(event.file.path, event.file.digest), owner)
    return event
