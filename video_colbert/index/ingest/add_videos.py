"""Videos into an index, as `Index.add` takes them: found, described, encoded and read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from video_colbert.encoding.inputs import as_list
from video_colbert.encoding.media_files import is_remote
from video_colbert.errors import MetadataError
from video_colbert.index.indexed_video import MetadataValue
from video_colbert.index.ingest.contextual_texts import NO_TEXTS, read_before_encoding, texts_of_index
from video_colbert.index.ingest.indexing import index_videos
from video_colbert.index.ingest.media_folders import FoundFiles, find_video_files
from video_colbert.index.ingest.metadata_files import VideoMetadata, match_metadata
from video_colbert.index.ingest.reading import read_passages
from video_colbert.index.ingest.report import IndexingReport
from video_colbert.index.video_index import VideoIndex

if TYPE_CHECKING:
    from video_colbert.encoding.encoder import VideoColBERTEncoder
    from video_colbert.text.passages import PassageReader


def add_videos(
    index: VideoIndex,
    encoder: VideoColBERTEncoder,
    videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    metadata: Mapping[str, Mapping[str, MetadataValue]] | None,
    readers: Sequence[PassageReader],
    batch_size: int,
    workers: int | None,
    retry_bad: bool,
    timeout: float,
) -> IndexingReport:
    """Adds videos to an index; arguments, report and errors are those of `Index.add`.

    Args:
        index: the index.
        encoder: of its model.
        videos: as of `Index.add`, and so on.
        metadata: likewise.
        readers: likewise.
        batch_size: likewise.
        workers: likewise.
        retry_bad: likewise.
        timeout: likewise.
    """
    sources = [os.fspath(source) for source in as_list(videos, (str, os.PathLike), "videos", "a path or URL")]
    urls = [source for source in sources if is_remote(source)]
    local = [source for source in sources if not is_remote(source)]
    found = find_video_files(local) if local or not urls else FoundFiles([])
    files = [*map(str, found.files), *urls]
    folders = [source for source in local if Path(source).is_dir()]
    described: Mapping[str, Mapping[str, MetadataValue]] = {}
    if metadata is not None:
        columns = tuple(dict.fromkeys(name for values in metadata.values() for name in values))
        described, absent = match_metadata(VideoMetadata(metadata, columns), files, [Path.cwd(), *folders])
        if absent:
            raise MetadataError(f"metadata names {', '.join(absent)}, not among the videos; name files as given")
    texts = texts_of_index(index, lambda: encoder.model.config.passage_levels)
    read: IndexingReport | None = None
    if readers and texts is not NO_TEXTS:
        read, texts = read_before_encoding(
            index, texts, readers, files, metadata=described, workers=workers, retry_bad=retry_bad, timeout=timeout
        )
    report = index_videos(
        index,
        encoder,
        files,
        batch_size=batch_size,
        workers=workers,
        metadata=described,
        folders=folders,
        retry_bad=retry_bad,
        timeout=timeout,
        texts=texts,
    )
    report.bad += found.bad_folders()
    report.left_out = found.passed_over()
    if read is not None:
        report.add_read(read)
    elif readers:
        # Of a file whose content is there under another name, that one is read.
        named = [*files, *report.duplicates.values()]
        report.add_read(read_passages(index, readers, named, workers=workers, retry_bad=retry_bad, timeout=timeout))
    if index.needs_calibration:
        # Once here, rather than in every process that searches.
        index.calibrate()
    return report
