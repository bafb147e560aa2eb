"""Files into an index: what is new is encoded, what is there is left, what is bad is reported."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from video_colbert.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding import VideoColBERTEncoder
from video_colbert.errors import IndexStoreError
from video_colbert.index.index_files import IndexedVideo
from video_colbert.index.store import Index
from video_colbert.index.video_files import content_digest

# The store is written anew each time, so not after every batch; a killed run loses at most this much work.
_SECONDS_BETWEEN_WRITES = 30.0


@dataclass
class IndexingReport:
    """What a run did with each file.

    Attributes:
        added: files that were encoded and are in the index now.
        present: files whose content was in the index already.
        moved: files whose content was in the index under a path that is gone; the path was updated.
        duplicates: files with the same content as another file that is in the index.
        bad: files that could not be read, with the reasons.
    """

    added: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    bad: list[BadVideo] = field(default_factory=list)


def index_videos(
    index: Index,
    encoder: VideoColBERTEncoder,
    files: Sequence[Path],
    *,
    batch_size: int = 8,
    num_frames: int | None = None,
    workers: int | None = None,
    seconds_between_writes: float = _SECONDS_BETWEEN_WRITES,
) -> IndexingReport:
    """Adds files to an index.

    Files are told apart by content, so running again on a folder encodes only what is new or changed. What was
    encoded is written from time to time, and when the run is interrupted.

    Args:
        index: an index made with the encoder's model.
        encoder: what encodes.
        files: absolute paths.
        batch_size: videos that go through the model together.
        num_frames: frames sampled from each video; the index's own number by default.
        workers: threads that read and decode.
        seconds_between_writes: how long encoded videos may wait to be written.

    Raises:
        IndexStoreError: the index samples another number of frames, or cannot be written.
        EncodingError: as `VideoColBERTEncoder.encode_videos`.
        ValueError: as `VideoColBERTEncoder.encode_videos`.
    """
    num_frames = index.num_frames if num_frames is None else num_frames
    if num_frames != index.num_frames:
        raise IndexStoreError(
            f"the index in {index.location} samples {index.num_frames} frames a video, not {num_frames}; use that "
            "number or another index folder"
        )
    report = IndexingReport()
    new = _new_files(index, _digests(files, workers, report), report)
    encoded = encoder.encode_videos(
        (VideoClip(path) for path in new), batch_size=batch_size, num_frames=num_frames, workers=workers
    )
    waiting: list[tuple[IndexedVideo, EncodedVideo]] = []

    def write() -> None:
        index.add(waiting)
        report.added += [video.path for video, _ in waiting]
        waiting.clear()

    try:
        last_write = time.monotonic()
        progress = tqdm(encoded, total=len(new), desc="encoding", unit="video", disable=None)
        for (path, digest), result in zip(new.items(), progress, strict=True):
            if isinstance(result, BadVideo):
                report.bad.append(result)
                continue
            times = tuple(result.timestamps.tolist())
            waiting.append((IndexedVideo(str(path), digest, result.duration, times), result))
            if time.monotonic() - last_write > seconds_between_writes:
                write()
                last_write = time.monotonic()
    finally:
        # On Ctrl-C and on errors too: what was encoded is kept.
        write()
    return report


def _digests(files: Sequence[Path], workers: int | None, report: IndexingReport) -> Iterator[tuple[Path, str]]:
    """Digests of the files that can be read; the others are reported."""

    def digest(path: Path) -> str | OSError:
        try:
            return content_digest(path)
        except OSError as error:
            return error

    with ThreadPoolExecutor(workers) as executor:
        results = executor.map(digest, files)
        progress = tqdm(results, total=len(files), desc="reading", unit="file", disable=None)
        for path, result in zip(files, progress, strict=True):
            if isinstance(result, OSError):
                report.bad.append(BadVideo(str(path), f"cannot be read: {result.strerror or result}"))
            else:
                yield path, result


def _new_files(index: Index, digests: Iterable[tuple[Path, str]], report: IndexingReport) -> dict[Path, str]:
    """The files to encode, with their digests; the others are reported and moved ones recorded."""
    stored = {video.digest: Path(video.path) for video in index.videos if video.start is None and video.end is None}
    current = dict(digests)
    new: dict[Path, str] = {}
    chosen: set[str] = set()
    moved: dict[str, str] = {}
    for path, digest in current.items():
        known = stored.get(digest)
        if known == path:
            report.present.append(str(path))
        elif digest in chosen or digest in moved or (known is not None and _holds(known, digest, current)):
            report.duplicates.append(str(path))
        elif known is not None:
            report.moved.append(str(path))
            moved[digest] = str(path)
        else:
            chosen.add(digest)
            new[path] = digest
    index.move(moved)
    return new


def _holds(path: Path, digest: str, current: dict[Path, str]) -> bool:
    """Whether a file still has this content; one that is not among the current files is not read again."""
    return current[path] == digest if path in current else path.exists()
