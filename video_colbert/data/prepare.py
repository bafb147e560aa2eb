"""Checks a folder of videos in parallel, re-encodes it if asked, and goes on where an earlier run stopped."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from video_colbert.console import printable
from video_colbert.dataset_builders.video_files import (
    VIDEO_EXTENSIONS,
    FolderContent,
    is_unicode,
    look_through,
    user_path,
)
from video_colbert.processes.worker_pool import Failure, WorkerPool
from video_colbert.processes.worker_server import default_workers
from video_colbert.progress import progress_bar

from .video_check import VideoFile, VideoRecord, start_examining, unexamined_video
from .video_copies import Reencoding

logger = logging.getLogger(__name__)

STATE_FILE = ".video_colbert_prepare.jsonl"
MANIFEST_FILE = "video_manifest.jsonl"
# A film of some hours is decoded from end to end.
DEFAULT_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class Preparation:
    """What came of preparing a folder.

    Attributes:
        folder: The folder.
        records: A record for each video, by path.
        examined: How many of them this run examined; the others were known from an earlier one.
        manifest: File with the records, one JSON object a line.
    """

    folder: Path
    records: tuple[VideoRecord, ...]
    examined: int
    manifest: Path

    @property
    def good(self) -> tuple[VideoRecord, ...]:
        """The videos that decode from end to end."""
        return tuple(record for record in self.records if record.error is None)

    @property
    def bad(self) -> tuple[VideoRecord, ...]:
        """The videos that do not."""
        return tuple(record for record in self.records if record.error is not None)

    def table(self) -> str:
        """A summary in lines of text, the bad videos with their reasons at the end."""
        rows = [
            ("videos", str(len(self.records))),
            ("examined now", str(self.examined)),
            ("good", str(len(self.good))),
            ("bad", str(len(self.bad))),
            ("gigabytes", f"{sum(record.size for record in self.records) / 1e9:.3f}"),
            ("hours", f"{sum(record.duration or 0 for record in self.good) / 3600:.3f}"),
        ]
        for name, unit in (("duration", "s"), ("fps", ""), ("width", "px"), ("height", "px")):
            values = [float(v) for record in self.good if (v := getattr(record, name)) is not None]
            if values:
                spread = f"{min(values):g} to {max(values):g}, median {statistics.median(values):g} {unit}"
                rows.append((name, spread.strip()))
        lines = [f"{name:<14}{value}" for name, value in rows]
        return "\n".join(
            lines + [f"bad: {printable(record.path)}: {printable(str(record.error))}" for record in self.bad]
        )


def prepare_videos(
    folder: str | Path,
    *,
    output_dir: str | Path | None = None,
    reencoding: Reencoding | None = None,
    workers: int | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
) -> Preparation:
    """Decodes every video of a folder from end to end and writes a manifest.

    What is found out is kept at once in a state file in the folder; a second run, or one after an interruption, looks
    only at videos that are new or changed.

    Args:
        folder: The folder; videos are found at any depth.
        output_dir: Where re-encoded copies go, under the same names with the extension `.mp4`. It must not lie
            within `folder`.
        reencoding: How to re-encode; with `output_dir` only.
        workers: Number of processes, by default one for each core.
        timeout: Seconds after which a video is given up; a later run tries it again.

    Returns:
        The records of all videos, good and bad.

    Raises:
        NotADirectoryError: There is no such folder.
        ValueError: The folder holds no video, `output_dir` and `reencoding` do not go together, or a number is out of
            range.
        OSError: The state file or the manifest cannot be written; what was examined before is kept.
    """
    root = user_path(folder).absolute()
    output = user_path(output_dir).absolute() if output_dir is not None else None
    if (output is None) != (reencoding is None):
        raise ValueError("output_dir and reencoding belong together: give both or neither")
    if output is not None and output.is_relative_to(root):
        raise ValueError(f"output_dir {output} lies within {root}, where its videos would count as further videos")
    content = look_through(root, VIDEO_EXTENSIONS)
    passed_over = _passed_over(content)
    if not content.files and not passed_over:
        raise ValueError(f"no video file under {root}")
    state_file = root / STATE_FILE
    known = _read_state(state_file)
    records = {record.path: record for record in passed_over}
    pending: list[VideoFile] = []
    targets: set[Path] = set()
    for path in content.files:
        target = output / path.relative_to(root).with_suffix(".mp4") if output is not None else None
        if target in targets:
            raise ValueError(f"two videos would be re-encoded to {target}: they differ in their extension alone")
        targets.update([target] if target is not None else [])
        record = known.get(path.relative_to(root).as_posix())
        if record is not None and _is_current(record, path, target, reencoding):
            records[record.path] = record
        else:
            pending.append(VideoFile(path, target))
    # The line that an interruption cut short is not continued.
    _write_lines(state_file, [_as_state_line(record) for record in records.values() if not record.may_pass])
    with progress_bar(
        total=len(content.files),
        initial=len(content.files) - len(pending),
        desc="videos",
        unit="video",
    ) as progress:
        for record in _examine_all(root, pending, reencoding, workers, timeout):
            records[record.path] = record
            if not record.may_pass:
                _append_line(state_file, record)
            progress.update()
    ordered = tuple(records[path] for path in sorted(records))
    _write_lines(root / MANIFEST_FILE, map(_as_line, ordered))
    return Preparation(root, ordered, len(pending), root / MANIFEST_FILE)


def _passed_over(content: FolderContent) -> list[VideoRecord]:
    """Records of what may hold videos and cannot be looked at: folders that are closed, and links to nothing."""
    closed = [
        unexamined_video(folder, content.root, f"the folder cannot be looked into: {reason}")
        for folder, reason in content.unreadable.items()
    ]
    dangling = [
        unexamined_video(path, content.root, "is a link to nothing, or no file")
        for path in content.dangling
        if path.suffix.lower() in VIDEO_EXTENSIONS
    ]
    return closed + dangling


def _is_current(record: VideoRecord, path: Path, target: Path | None, reencoding: Reencoding | None) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    if record.may_pass or (record.size, record.modified_ns) != (state.st_size, state.st_mtime_ns):
        return False
    if record.error is not None or reencoding is None:
        return True
    return record.reencoding == reencoding and target is not None and target.is_file()


def _examine_all(
    root: Path, videos: Sequence[VideoFile], reencoding: Reencoding | None, workers: int | None, timeout: float
) -> Iterator[VideoRecord]:
    """Yields the record of each video as it is done; one that its process does not survive has that as its error."""
    if not videos:
        return
    workers = min(default_workers() if workers is None else workers, len(videos))
    start = functools.partial(start_examining, root, reencoding)
    pool: WorkerPool[VideoFile, VideoRecord] = WorkerPool(start, workers=workers, timeout=timeout)
    with pool:
        for finished in pool.results(videos):
            if isinstance(finished.answer, Failure):
                yield unexamined_video(finished.task.path, root, f"decoding it {finished.answer.reason}")
            else:
                yield finished.answer


def _as_line(record: VideoRecord) -> str:
    return _json_line(asdict(record))


def _as_state_line(record: VideoRecord) -> str:
    """A record with its digest, by which a later run knows that the line is as it was written."""
    values = asdict(record)
    return _json_line({**values, "digest": _digest(values)})


def _json_line(values: Mapping[str, Any]) -> str:
    # A name that is no Unicode is written as escapes, which read back as the same name.
    return json.dumps(values, ensure_ascii=not is_unicode(f"{values['path']}{values['error']}")) + "\n"


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _read_state(file: Path) -> dict[str, VideoRecord]:
    """The records of an earlier run; a line that is not as it was written, or of another version, is passed over."""
    if not file.exists():
        return {}
    records = {}
    for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), start=1):
        try:
            values = json.loads(line)
            if values.pop("digest", None) != _digest(values):
                raise ValueError("not as it was written")
            record = VideoRecord(**values)
            if isinstance(record.reencoding, dict):
                record = replace(record, reencoding=Reencoding(**record.reencoding))
        except (TypeError, ValueError, AttributeError):
            logger.info("%s, line %d: not a record; its video is examined again", file, number)
            continue
        records[record.path] = record
    return records


def _append_line(file: Path, record: VideoRecord) -> None:
    try:
        with file.open("a", encoding="utf-8") as state:
            state.write(_as_state_line(record))
    except OSError as error:
        raise _unwritten(file, error) from error


def _write_lines(file: Path, lines: Iterable[str]) -> None:
    unfinished = file.with_name(f"{file.name}.part")
    try:
        unfinished.write_text("".join(lines), "utf-8")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise _unwritten(file, error) from error


def _unwritten(file: Path, error: OSError) -> OSError:
    return OSError(f"{file} cannot be written ({error.strerror or error}); what was examined before is kept")
